"""Reads run folders, and nothing else: ranking, luck, plots."""
