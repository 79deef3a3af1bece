"""Learn from RunRecords and advise on the next GPU."""
