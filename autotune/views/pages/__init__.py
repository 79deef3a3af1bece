"""Documents of text and charts, written as one HTML file or as Markdown with its pictures."""
