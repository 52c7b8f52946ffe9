"""Making what a graph describes, on this machine: images, partitions, volumes, filesystems, mounts.

Everything that is taken is put on one ExitStack and given back in reverse, also when a step half way fails.
"""
