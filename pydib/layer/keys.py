"""What the outcome of a script depends on, and the key made of it. Pure.

A script's *inputs* are a small map of words and digests; its *static key* is the digest of that map. What stands
behind a digest (the environment, the names in the hook tree) is a *fact*, kept under that digest so that a difference
can be told in words. What the script opens in the hook tree is known only after it ran, so a static key may have
several outcomes, each with the *trace* {path: digest} under which it came about.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydib.masking import Mask

FORMAT = 1
"""Goes into every key: another format never meets this one's layers."""

NEVER = frozenset({"_", "SHLVL"})
"""Variables that no outcome depends on: the shell sets them anew."""

ONLY_IF_NAMED = frozenset({
    "BUILD_ID", "BUILD_NUMBER", "BUILD_TAG", "BUILD_URL", "COLORTERM", "COLUMNS", "DBUS_SESSION_BUS_ADDRESS",
    "DESKTOP_SESSION", "DIB_ARGS", "DIB_ENV", "DISPLAY", "EDITOR", "GPG_TTY", "HISTFILE", "HOME", "HOSTNAME",
    "IMAGE_NAME", "INVOCATION_ID", "JOURNAL_STREAM", "LESS", "LESSCLOSE", "LESSOPEN", "LINES", "LOGFILE", "LOGNAME",
    "LS_COLORS", "MAIL", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "OLDPWD", "PAGER", "PWD", "SESSION_MANAGER", "SHELL",
    "SSH_AGENT_PID", "SSH_AUTH_SOCK", "SSH_CLIENT", "SSH_CONNECTION", "SSH_TTY", "STY", "SUDO_COMMAND", "SUDO_GID",
    "SUDO_UID", "SUDO_USER", "TERM", "TMUX", "TMUX_PANE", "USER", "VISUAL", "WINDOWID", "XAUTHORITY",
    "XDG_DATA_DIRS", "XDG_RUNTIME_DIR", "XDG_SESSION_CLASS", "XDG_SESSION_ID", "XDG_SESSION_TYPE",
})
"""Volatile variables: they count for a script only when it, or a file of the hook tree that it opened, names them, or
looks at the whole environment."""

IF_NAMED_PREFIXES = ("BUILDKITE_", "CI_", "GITHUB_", "JENKINS_", "PYDIB_", "PYTEST_", "RUNNER_", "ZUUL_")
"""How further volatile variables begin: those that describe one job of a CI system or the running test, and our own."""

OF_THE_BUILD = frozenset({
    "BASH_FUNC_get_image_element_array%%", "DIB_MANIFEST_SAVE_DIR", "IMAGE_ELEMENT", "IMAGE_ELEMENT_YAML",
    "SERVICE_TYPE",
})
"""Variables that say which image is built, and from which elements. They, too, count only where they are named, so that
images of different elements share what their common elements do; but for them a program of an element that lies in
the tree (its `bin` or `static`) counts as opened by every script, since no trace shows who runs it."""
PROGRAMS_IN_TREE = ("bin/", "static/")
"""Folders of the hook tree that scripts copy into the tree whole."""

_WHOLE_ENVIRONMENT = re.compile(
    rb"\bprintenv\b|\bexport\s+-p\b|\bdeclare\s+-(?:x|p|xp|px)\s*(?:$|[|>;)])|\bcompgen\s+-[ev]\b|/environ\b"
    rb"|\bos\.environ\b(?!\s*(?:\[|\.get\b|\.pop\b|\.setdefault\b))|%ENV\b|(?:^|[|;&(`\s])(?:env|set)\s*(?:$|[|>;)`])",
    re.MULTILINE)


NOTHING_HIDDEN = Mask(())


class Fold:
    """Replaces directories that differ from build to build, or from machine to machine, by words, and back.

    >>> Fold([("/tmp/dib_build.x1", "{build}")]).fold("/tmp/dib_build.x1/mnt")
    '{build}/mnt'
    """

    def __init__(self, places: Iterable[tuple[str | Path, str]]) -> None:
        pairs = {str(path): word for path, word in places if str(path) not in ("", "/", ".")}
        self._pairs = sorted(pairs.items(), key=lambda pair: -len(pair[0]))
        alternatives = "|".join(re.escape(path) for path, _ in self._pairs)
        self._regex = re.compile(rf"(?:{alternatives})(?![A-Za-z0-9_.-])") if alternatives else None
        self._words = dict(self._pairs)

    def fold(self, text: str) -> str:
        """`text` with directories as words; only whole names of directories are replaced."""
        return self._regex.sub(lambda match: self._words[match[0]], text) if self._regex else text

    def unfold(self, text: str) -> str:
        """The way back."""
        for path, word in self._pairs:
            text = text.replace(word, path)
        return text


@dataclass(frozen=True, kw_only=True)
class Variables:
    """An environment, sorted into what always counts and what counts only for scripts that name it."""

    always: Mapping[str, str]
    if_named: Mapping[str, str]


def concealed(text: str, mask: Mask, salt: bytes) -> str:
    """`text`; or, if a secret is in it, a digest of it with `salt`, which differs when the secret does."""
    if mask.text(text) == text:
        return text
    return "secret:" + hmac.new(salt, text.encode("utf-8", "surrogateescape"), "sha256").hexdigest()


def variables(environment: Mapping[str, str], fold: Fold, *, mask: Mask = NOTHING_HIDDEN, salt: bytes = b""
              ) -> Variables:
    """The environment as keys and records have it.

    Args:
        mask, salt: how values with a secret in them are concealed, whichever variable has them.
    """
    always: dict[str, str] = {}
    if_named: dict[str, str] = {}
    for name, value in environment.items():
        if name in NEVER:
            continue
        volatile = name in ONLY_IF_NAMED or name in OF_THE_BUILD or name.startswith(IF_NAMED_PREFIXES)
        (if_named if volatile else always)[name] = fold.fold(concealed(value, mask, salt))
    return Variables(always=always, if_named=if_named)


def named(texts: Iterable[bytes], volatile: Mapping[str, str]) -> dict[str, str]:
    """The volatile variables that count for a script whose text, and files that it opened, are `texts`.

    In compressed files and machine code, which have zero bytes, only names are looked for: there the words by which a
    script looks at the whole environment are chance.
    """
    called = {name: _as_called(name).encode() for name in volatile}
    found: set[str] = set()
    for text in texts:
        if b"\0" not in text and _WHOLE_ENVIRONMENT.search(text):
            return dict(volatile)
        found.update(name for name, word in called.items() if word in text and _is_word_of(word, text))
    return {name: value for name, value in volatile.items() if name in found}


def _is_word_of(word: bytes, text: bytes) -> bool:
    return bool(re.search(rb"(?<![A-Za-z_])" + re.escape(word) + rb"(?![A-Za-z0-9_])", text))


def of_the_build(volatile: Mapping[str, str]) -> dict[str, str]:
    """Those of `volatile` that say which image is built."""
    return {name: value for name, value in volatile.items() if name in OF_THE_BUILD}


def _as_called(name: str) -> str:
    """A variable's name, or a function's as bash exports it, as scripts write it."""
    return name.removeprefix("BASH_FUNC_").removesuffix("%%")


def digest(fact: Any) -> str:
    """The digest of anything that JSON can say."""
    return hashlib.sha256(as_text(fact).encode("ascii")).hexdigest()


def as_text(fact: Any) -> str:
    """JSON in one form only."""
    return json.dumps(fact, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def state_id(parent: str, content: str, mounts: Sequence[Any]) -> str:
    """The name of a state of the tree: what it grew from, what was added, and which mounts scripts left in it."""
    return digest({"format": FORMAT, "parent": parent, "content": content, "mounts": list(mounts)})


EMPTY = digest({"format": FORMAT, "empty": True})
"""The state of a tree in which nothing has happened yet."""
