"""Two runs side by side: what was asked of each, and what their winners earn on the same days."""
