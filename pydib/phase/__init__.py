"""Phases, and the plan that joins them with the scripts of the elements."""
