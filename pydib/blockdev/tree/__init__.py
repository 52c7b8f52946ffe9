"""Tree mode: the disk is made from the finished tree, in a plain file. No loop device, no mounted disk, no root.

limits: what a configuration may ask for. view: the part of the tree that belongs to one filesystem. ext, fat, plain:
filesystems by type. assemble: all of it, in the order of the graph.
"""
