"""Hugging Face pipelines."""
