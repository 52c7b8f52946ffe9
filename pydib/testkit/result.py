"""What a run of scripts did: output, calls, changed files, services."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from pydib.host.keeper_process import Entry
from pydib.testkit.commands import Call

Snapshot = Mapping[str, Entry]
"""What lies in a fake root, by path: see `keeper_process.Entry`."""

_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "directory", stat.S_IFLNK: "link", stat.S_IFIFO: "fifo",
          stat.S_IFSOCK: "socket", stat.S_IFCHR: "device", stat.S_IFBLK: "device"}


@dataclass(frozen=True, kw_only=True)
class State:
    """One file, directory or link as it was found.

    Args:
        kind: `file`, `directory`, `link`, `fifo`, `socket` or `device`.
        mode: permission bits.
        user: number of its owner; `group` likewise.
        content: a file's text (bytes if it is not UTF-8; None above a megabyte), or where a link points.
    """

    kind: str
    mode: int
    user: int
    group: int
    content: str | bytes | None

    def __repr__(self) -> str:
        owner = f" {self.user}:{self.group}" if (self.user, self.group) != (0, 0) else ""
        return f"<{self.kind} {self.mode:04o}{owner} {self.content!r}>"


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What a run added, changed and removed in the fake root, by path.

    A directory that was made counts when it is empty, or its mode or owner is not the usual one (0755, root).
    """

    added: dict[str, State] = field(default_factory=dict)
    changed: dict[str, tuple[State, State]] = field(default_factory=dict)
    removed: dict[str, State] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.removed)

    def __str__(self) -> str:
        lines = [f"+ {path} {state!r}" for path, state in self.added.items()]
        lines += [f"~ {path} {before!r} -> {after!r}" for path, (before, after) in self.changed.items()]
        lines += [f"- {path} {state!r}" for path, state in self.removed.items()]
        return "\n".join(lines) or "no changes"


@dataclass(frozen=True, kw_only=True)
class Services:
    """Names of services, without `.service`, as calls and links in /etc/systemd/system left them."""

    enabled: frozenset[str] = frozenset()
    disabled: frozenset[str] = frozenset()
    masked: frozenset[str] = frozenset()


class _Told:
    """Questions that can be asked about one run and about several."""

    calls: tuple[Call, ...]
    changes: Changes

    @property
    def lines(self) -> list[str]:
        """The calls, one line each."""
        return [call.line for call in self.calls]

    def called(self, name: str, *words: str) -> bool:
        """Whether the program `name` was called with `words` among its arguments, in this order."""
        return any(call.matches(name, *words) for call in self.calls)

    @property
    def services(self) -> Services:
        """Services that were enabled, disabled or masked."""
        return services(self.calls, self.changes)

    @property
    def enabled(self) -> frozenset[str]:
        """Services that are enabled now."""
        return self.services.enabled

    @property
    def masked(self) -> frozenset[str]:
        """Services that are masked now."""
        return self.services.masked


@dataclass(frozen=True, kw_only=True)
class ScriptRun(_Told):
    """What one script did.

    Args:
        script: the script, such as `install.d/10-foo`.
        exit_code: as a shell sees it (128 + signal).
        output: stdout and stderr, in the order in which they came.
        calls: recorded programs that it called, in order.
        wrote: paths in the fake root that it made or wrote to, sorted; also when they hold the same as before.
        removed: paths in the fake root that are gone since.
        changes: what is different in the fake root since.
        seconds: how long it ran.
    """

    script: str
    exit_code: int
    output: str
    calls: tuple[Call, ...] = field(default=())
    wrote: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    changes: Changes = field(default_factory=Changes)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether it ended with 0."""
        return self.exit_code == 0


@dataclass(frozen=True, kw_only=True)
class Runs(_Told):
    """Scripts that ran one after another, up to the first that failed: a sequence of `ScriptRun`.

    Args:
        runs: each of them.
        changes: what is different in the fake root since the first began.
    """

    runs: tuple[ScriptRun, ...] = ()
    changes: Changes = field(default_factory=Changes)

    def __iter__(self) -> Iterator[ScriptRun]:
        return iter(self.runs)

    def __len__(self) -> int:
        return len(self.runs)

    def __getitem__(self, index: int) -> ScriptRun:
        return self.runs[index]

    @property
    def ok(self) -> bool:
        """Whether all ended with 0."""
        return all(run.ok for run in self.runs)

    @property
    def exit_code(self) -> int:
        """Of the script that failed, or 0."""
        return next((run.exit_code for run in self.runs if not run.ok), 0)

    @property
    def output(self) -> str:
        """Of all."""
        return "".join(run.output for run in self.runs)

    @property
    def calls(self) -> tuple[Call, ...]:  # type: ignore[override]
        """Of all."""
        return tuple(call for run in self.runs for call in run.calls)

    @property
    def seconds(self) -> float:
        """Together."""
        return sum(run.seconds for run in self.runs)

    @property
    def scripts(self) -> list[str]:
        """Their names."""
        return [run.script for run in self.runs]


def differences(before: Snapshot, after: Snapshot) -> Changes:
    """What is different between two looks at a fake root."""
    return Changes(
        added={path: _state(after[path]) for path in sorted(after.keys() - before.keys())
               if _is_worth_telling(path, after)},
        changed={path: (_state(before[path]), _state(after[path])) for path in sorted(after.keys() & before.keys())
                 if _is_changed(before[path], after[path])},
        removed={path: _state(before[path]) for path in sorted(before.keys() - after.keys())
                 if _is_worth_telling(path, before)},
    )


def written(before: Snapshot, after: Snapshot) -> tuple[str, ...]:
    """Paths of files, links and empty directories that were made, or that somebody wrote to."""
    return tuple(sorted(path for path in leaves(after) if _marks(after[path]) != _marks(before.get(path))))


def leaves(snapshot: Snapshot) -> list[str]:
    """All but directories that have something in them."""
    full = {os.path.dirname(path) for path in snapshot}
    return [path for path, entry in snapshot.items() if not stat.S_ISDIR(entry[0]) or path not in full]


def services(calls: Iterable[Call], changes: Changes) -> Services:
    """What calls of systemctl, chkconfig, update-rc.d and rc-update, and links, say about services."""
    state: dict[str, str] = {}
    for call in calls:
        verb, names = _service_call(call)
        if verb == "unmasked":
            names = [name for name in names if state.get(name) == "masked"]
        state |= dict.fromkeys(names, verb)
    now = changes.added | {path: after for path, (_, after) in changes.changed.items()}
    for path, found in now.items():
        folder, name = os.path.split(path)
        if found.kind == "link" and folder.startswith("/etc/systemd/system"):
            if found.content == "/dev/null":
                state[_service(name)] = "masked"
            elif folder.endswith((".wants", ".requires")):
                state[_service(name)] = "enabled"
    return Services(**{verb: frozenset(name for name, is_now in state.items() if is_now == verb)
                       for verb in ("enabled", "disabled", "masked")})


_VERBS = {"enable": "enabled", "reenable": "enabled", "disable": "disabled", "mask": "masked", "unmask": "unmasked"}
_WORDS = {"on": "enabled", "off": "disabled", "enable": "enabled", "defaults": "enabled", "disable": "disabled",
          "remove": "disabled", "--add": "enabled", "--del": "disabled", "add": "enabled", "del": "disabled"}


def _service_call(call: Call) -> tuple[str, list[str]]:
    words = [word for word in call.args if not word.startswith("-") or word in _WORDS]
    if call.name == "systemctl" and words and words[0] in _VERBS:
        return _VERBS[words[0]], [_service(word) for word in words[1:]]
    if call.name in ("chkconfig", "update-rc.d", "rc-update"):
        verb = next((_WORDS[word] for word in words if word in _WORDS), "")
        named = [word for word in words if word not in _WORDS]
        return (verb, [_service(named[0])]) if verb and named else ("", [])
    return "", []


def _service(name: str) -> str:
    return name.removesuffix(".service")


def _is_worth_telling(path: str, snapshot: Snapshot) -> bool:
    mode, user, group = snapshot[path][:3]
    if not stat.S_ISDIR(mode) or stat.S_IMODE(mode) != 0o755 or (user, group) != (0, 0):
        return True
    return not any(other.startswith(path + "/") for other in snapshot)


def _is_changed(before: Entry, after: Entry) -> bool:
    """Large files are not read: size and time of change decide."""
    is_large = stat.S_ISREG(after[0]) and after[3] != len(after[7])
    return _state(before) != _state(after) or (is_large and _marks(before) != _marks(after))


def _marks(entry: Entry | None) -> tuple[object, ...]:
    if entry is None:
        return ()
    mode, user, group, size, changed, inode, device, content = entry
    if stat.S_ISDIR(mode):
        return (mode, user, group)
    return (mode, user, group, size, changed, inode, device, content)


def _state(entry: Entry) -> State:
    mode, user, group, size, _, _, device, content = entry
    kind = _KINDS[stat.S_IFMT(mode)]
    return State(kind=kind, mode=stat.S_IMODE(mode), user=user, group=group,
                 content=_readable(kind, content, size, device))


def _readable(kind: str, content: bytes, size: int, device: int) -> str | bytes | None:
    if kind == "device":
        return f"{os.major(device)}:{os.minor(device)}"
    if kind == "file" and size != len(content):
        return f"{size} bytes"
    if kind in ("file", "link"):
        try:
            return content.decode()
        except UnicodeDecodeError:
            return content
    return None
