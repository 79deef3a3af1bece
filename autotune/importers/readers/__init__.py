"""One module a file format, by who writes it."""
