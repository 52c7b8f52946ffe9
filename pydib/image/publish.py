"""Publishing: a whole output takes its final name at once, and what was there before is kept (contract C-235)."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

from pydib.errors import ImageError
from pydib.host.machine import in_user_namespace


def checksum_lines(path: Path, kinds: Sequence[str], *, shown_as: str) -> dict[str, str]:
    """For each kind of checksum the line that md5sum or sha256sum would print for `path` (C-236)."""
    def one(kind: str) -> str:
        with path.open("rb") as stream:
            return hashlib.file_digest(stream, kind).hexdigest()

    with ThreadPoolExecutor() as pool:
        return {kind: f"{digest}  {shown_as}\n" for kind, digest in zip(kinds, pool.map(one, kinds), strict=True)}


def dated(path: Path, moment: datetime) -> Path:
    """The name under which an old output is kept: `<stem>-YYYY.MM.DD-HH.MM.SS.<ext>`."""
    return path.with_name(f"{path.stem}-{moment:%Y.%m.%d-%H.%M.%S}{path.suffix}")


def owner(environment: Mapping[str, str]) -> tuple[int, int] | None:
    """User and group who called us through sudo, to whom outputs belong (C-230); None without sudo, and
    where ids are mapped.

    >>> owner({"SUDO_UID": "1000", "SUDO_GID": "1000"})
    (1000, 1000)
    """
    user, group = environment.get("SUDO_UID", ""), environment.get("SUDO_GID", "")
    if os.geteuid() != 0 or in_user_namespace() or not (user.isdecimal() and group.isdecimal()):
        return None
    return int(user), int(group)


def publish(staged: Path, final: Path, *, checksums: Sequence[str], shown_as: str, keep_old: bool, moment: datetime,
            belongs_to: tuple[int, int] | None = None) -> Path | None:
    """Give the finished file `staged` its name `final`, with its checksum files beside it.

    The old output keeps its content under a dated name, its checksum files too; `final` itself is never absent and
    never half-written: the new file replaces it by one rename. `staged` lies on the same filesystem.

    Args:
        shown_as: the name of the output in its checksum files.
        keep_old: whether an old output is kept, and under which moment's name.
        belongs_to: user and group that get the output and its checksum files; None for ours.

    Returns:
        Where the old output is kept, or None if there was none, or it was not to be kept.

    Raises:
        ImageError: a rename failed.
    """
    lines = checksum_lines(staged, checksums, shown_as=shown_as)
    try:
        kept = _keep(final, dated(final, moment)) if keep_old else None
        for kind in ("md5", "sha256"):
            final.with_name(f"{final.name}.{kind}").unlink(missing_ok=True)
        _give(staged, belongs_to)
        os.replace(staged, final)
        for kind, line in lines.items():
            part = staged.with_name(f"{staged.name}.{kind}")
            part.write_text(line, encoding="utf-8", errors="surrogateescape")
            _give(part, belongs_to)
            os.replace(part, final.with_name(f"{final.name}.{kind}"))
    except OSError as error:
        raise ImageError(f"the output could not be published: {error.strerror}", where=str(final)) from None
    return kept


def _give(path: Path, to: tuple[int, int] | None) -> None:
    if to is not None:
        os.chown(path, *to)


def _keep(final: Path, old: Path) -> Path | None:
    """Give the present output, and its checksum files, a second name."""
    if not final.is_file():
        return None
    for suffix in ("", ".md5", ".sha256"):
        source = final.with_name(final.name + suffix)
        if source.exists():
            old.with_name(old.name + suffix).unlink(missing_ok=True)
            os.link(source, old.with_name(old.name + suffix))
    return old
