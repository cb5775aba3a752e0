"""The durable record of every trial, in an Optuna storage."""
