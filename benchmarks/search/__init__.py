"""Whole searches, in turn with the same search as usually written with Ray Tune."""
