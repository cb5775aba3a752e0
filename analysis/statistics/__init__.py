"""Statistics of a search's results: luck line, means of few seeds, paired Sharpe ratios."""
