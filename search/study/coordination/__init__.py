"""What several drivers of one study need: leases, heartbeats, turns."""
