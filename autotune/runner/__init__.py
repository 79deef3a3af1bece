"""One host, one engine, one configuration: from a start to a RunRecord."""
