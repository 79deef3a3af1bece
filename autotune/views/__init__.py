"""What a person reads: progress, tables, charts, reports."""
