"""From a market to what every trial trains on: rows, labels, split, scaling and windows."""
