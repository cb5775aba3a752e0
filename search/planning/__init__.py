"""What a search will do, checked before it starts: the plan, its preview, its duration."""
