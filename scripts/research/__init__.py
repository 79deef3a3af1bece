"""The project's own harness: how good the advice is. Not part of the package."""
