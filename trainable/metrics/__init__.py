"""The one definition of every metric: Sharpe ratio net of costs, correlations, baselines."""
