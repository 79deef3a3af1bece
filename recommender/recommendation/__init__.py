"""From a query to ranked candidates and their reasons."""
