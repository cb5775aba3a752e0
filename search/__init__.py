"""The search itself: asks, trains, prunes, records."""
