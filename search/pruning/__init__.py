"""The rules that stop a trial. Each is a pure function; a file is named after its stop reason."""
