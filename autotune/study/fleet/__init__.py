"""A study on the hosts of a Ray cluster."""
