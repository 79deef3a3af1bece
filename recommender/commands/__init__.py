"""One module a command: load, call the core, save."""
