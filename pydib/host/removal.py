"""Removing a folder with all that is in it, however deep it is and whosever it is."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from pydib.errors import PydibError
from pydib.host.command import run
from pydib.host.namespace import MAPPED


def remove_tree(path: Path) -> bool:
    """Remove the folder `path` as far as that can be; whether it is gone.

    What Python cannot, rm(1) does: trees of any depth, and files of the caller's subordinate ids, which are only for
    root of a user namespace to remove. Neither follows a link; rm does not follow a mount.
    """
    with contextlib.suppress(RecursionError):
        shutil.rmtree(path, ignore_errors=True)
    if os.path.lexists(path):
        mapped = [] if os.geteuid() == 0 else ["unshare", *MAPPED]
        with contextlib.suppress(PydibError):
            run(*mapped, "rm", "--recursive", "--force", "--one-file-system", "--", path)
    return not os.path.lexists(path)
