"""Checks of prices: refused with file, column and row, or repaired and counted."""
