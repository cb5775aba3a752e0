"""Searches replayed over learning curves whose truth is known: who is stopped, who is chosen."""
