"""What statistics says of a search's results: the luck line."""
