"""Which trial trains in which slot, and what happens after each of its reports."""
