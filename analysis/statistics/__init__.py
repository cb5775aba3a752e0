"""Statistics of a search's results: the luck line."""
