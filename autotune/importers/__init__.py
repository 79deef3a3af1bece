"""Foreign result formats, each read into RunRecords."""
