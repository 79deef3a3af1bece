"""Choosing under uncertainty."""
