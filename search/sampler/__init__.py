"""Which configuration to try next, away from configurations that explode."""
