"""One search, from its plan to its ranking: how it starts, resumes, is interrupted and ends."""
