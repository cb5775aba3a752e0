"""The table of features, a file for each group; no feature looks ahead."""
