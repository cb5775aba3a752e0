"""Command lines: typed `key=value` options, exit statuses, and errors for the person."""
