"""What one worker process does: trains its cohorts, writes checkpoints, keeps models."""
