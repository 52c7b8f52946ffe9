"""Commands: the only place with argument parsing and exit codes."""
