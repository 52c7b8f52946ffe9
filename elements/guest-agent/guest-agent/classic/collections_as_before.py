"""The abstract classes of `collections.abc` under `collections`, too, where Python had them until 3.9.

Trove 13 looks for them there. A line in collections_as_before.pth imports this at each start of this Python.
"""

import collections
import collections.abc

for name in collections.abc.__all__:
    if not hasattr(collections, name):
        setattr(collections, name, getattr(collections.abc, name))
