"""Elements: finding them, resolving what they need, and the hook tree that they make together. Pure."""
