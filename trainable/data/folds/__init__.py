"""Further divisions of the dates that a search may read, to train and score on."""
