"""Engines' own benchmark tools."""
