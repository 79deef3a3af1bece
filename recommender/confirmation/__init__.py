"""Confirmatory runs: the sequential loop and its devices."""
