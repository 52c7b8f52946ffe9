"""Reaching the real disk while pyfakefs shows the test another one."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any, TypeVar

Class = TypeVar("Class", bound=type)


@contextlib.contextmanager
def real_disk() -> Iterator[None]:
    """Reach the real disk, also while pyfakefs shows the test another one."""
    patcher = _patcher()
    if patcher is None or patcher.is_patching is False:
        yield
        return
    patcher.pause()
    try:
        yield
    finally:
        patcher.resume()


def _patcher() -> Any:
    module = sys.modules.get("pyfakefs.fake_filesystem_unittest")
    return module.Patcher.PATCHER if module is not None else None


def on_the_real_disk(cls: Class) -> Class:
    """Let all public methods of a class, and its making, reach the real disk."""
    for name, value in list(vars(cls).items()):
        if callable(value) and not isinstance(value, type) and (not name.startswith("_") or name == "__init__"):
            setattr(cls, name, _outside(value))
    return cls


def _outside(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def outside(*args: Any, **named: Any) -> Any:
        with real_disk():
            return method(*args, **named)
    return outside
