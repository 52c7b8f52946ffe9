"""Layers: what each script did to the tree, kept, found again, and explained. See docs/layers.md.

Pure: `keys` (what a script's outcome depends on), `records` (what is written down), `explain` (why a script runs).
Hands: `content` (digests of what is kept), `store` (the directory that keeps it), `tree` (the mounted tree).
"""
