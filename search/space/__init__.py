"""Search spaces: found by name or file, checked by sampling, parameters held fixed."""
