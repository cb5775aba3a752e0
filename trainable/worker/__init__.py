"""What one worker process does: its cohorts, checkpoints and kept models."""
