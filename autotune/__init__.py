"""Measure LLM serving configurations, log them, and advise on the next GPU."""

__version__ = "0.1.0"
