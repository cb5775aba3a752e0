"""From sources to a checked market, features, targets, splits and the dataset of windows."""
