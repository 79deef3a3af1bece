"""A study: plan, search, loop."""
