"""Searches whose driver, workers and machines are killed while they run."""
