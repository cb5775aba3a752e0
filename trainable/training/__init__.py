"""The training loop, for all executors: epochs, health checks, evaluation."""
