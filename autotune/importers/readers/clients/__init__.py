"""Load generators that ask a server."""
