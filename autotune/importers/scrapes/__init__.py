"""What a running server tells of itself, looked at twice: the load between the two looks."""
