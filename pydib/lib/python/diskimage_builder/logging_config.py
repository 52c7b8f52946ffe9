"""How Python scripts of elements log: `LEVEL name [-] message` on stderr (contract C-186)."""

from __future__ import annotations

import json
import logging
import logging.config
import os
from pathlib import Path

PATTERN = "%(levelname)s %(name)s [-] %(message)s"
PATTERN_OF_DEBUG = PATTERN + " %(funcName)s %(pathname)s:%(lineno)d"


class DibFormatter(logging.Formatter):
    """Messages for debugging tell where they come from."""

    def __init__(self) -> None:
        super().__init__(PATTERN)
        self._debug = logging.Formatter(PATTERN_OF_DEBUG)

    def format(self, record: logging.LogRecord) -> str:
        """One message as text."""
        return self._debug.format(record) if record.levelno <= logging.DEBUG else super().format(record)


def setup() -> None:
    """Set logging up for a whole process: from INFO on, and from DEBUG on when DIB_DEBUG_TRACE is above 0.

    DIB_PYTHON_LOGGING_CONFIG_FILE names a JSON file for `logging.config.dictConfig` that is used instead.
    """
    own = os.environ.get("DIB_PYTHON_LOGGING_CONFIG_FILE")
    if own:
        logging.config.dictConfig(json.loads(Path(own).read_text(encoding="utf-8")))
        return
    handler = logging.StreamHandler()
    handler.setFormatter(DibFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if _trace() > 0 else logging.INFO)


def _trace() -> int:
    try:
        return int(os.environ.get("DIB_DEBUG_TRACE") or 0)
    except ValueError:
        return 0
