"""Which trial trains in which slot, and what becomes of it."""
