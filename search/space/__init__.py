"""Search spaces: loaded by name or file, checked by sampling, parameters held fixed."""
