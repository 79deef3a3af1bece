"""What an engine is asked: token ids, code, files."""
