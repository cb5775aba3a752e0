"""Which configuration to try next: TPE that keeps away from configurations that explode."""
