"""The rules that stop a trial: pure functions of its reports, a file for each stop reason."""
