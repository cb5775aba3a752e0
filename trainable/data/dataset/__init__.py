"""From a market to the rows, labels, split and windows that every trial trains on."""
