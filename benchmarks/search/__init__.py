"""Whole searches, side by side with the usual program."""
