"""Consumers of events: console, log file, JSON lines, timing table."""
