"""A generated market with a planted signal of known strength."""
