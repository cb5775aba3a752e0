"""Finalists trained again on folds they were not chosen on, and the gate, opened once."""
