"""The trained artifact and its cold evaluation; numpy alone."""
