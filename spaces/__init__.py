"""Search spaces: functions of an Optuna trial that start small and scale up."""
