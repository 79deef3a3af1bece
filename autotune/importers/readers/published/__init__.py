"""Collections that people published."""
