"""Pictures as data, drawn by matplotlib for paper and by plotly for a browser."""
