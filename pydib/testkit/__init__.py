"""Elements under test: real scripts against fake roots, in pytest.

`docs/testing-elements.md` shows how it is used; `plugin.py` is the door.
"""
