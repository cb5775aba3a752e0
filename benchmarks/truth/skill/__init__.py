"""Whole searches of planted markets: how often one claims skill, and what its choice is worth."""
