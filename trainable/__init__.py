"""The PyTorch training stack: from market data to reports; only trial.py knows Ray."""
