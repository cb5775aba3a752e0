"""The search spaces that come with the project: start small, then scale up."""
