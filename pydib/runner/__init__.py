"""Running the scripts of one phase, as elements expect it (contract section 4)."""
