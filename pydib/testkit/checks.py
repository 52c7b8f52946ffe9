"""Ready checks: properties that every script of an element should have.

Each runs a script and fails the test with what it found; each gives back the last run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatch

from pydib.testkit.element import ElementUnderTest
from pydib.testkit.result import ScriptRun

NETWORK = frozenset({"curl", "wget", "git", "pip", "pip2", "pip3", "npm", "gem", "uv", "scp", "ssh", "rsync", "skopeo"})
"""Programs that have no business without the network when they are called as `OVER_NETWORK` says."""

OVER_NETWORK: Mapping[str, tuple[str, ...]] = {
    "apt-get": ("update", "install", "upgrade", "dist-upgrade", "build-dep", "source"),
    "apt": ("update", "install", "upgrade", "full-upgrade"),
    "dnf": ("install", "update", "upgrade", "makecache", "download", "group", "groupinstall"),
    "yum": ("install", "update", "upgrade", "makecache", "groupinstall"),
    "zypper": ("install", "in", "update", "up", "refresh", "ref", "dup"),
    "emerge": ("--sync",), "docker": ("pull", "build"), "podman": ("pull", "build"),
    "git": ("clone", "fetch", "pull", "ls-remote", "submodule"),
    "debootstrap": (), "mmdebstrap": (),
}
"""Programs that reach the network with one of these words; without any, always."""

WITHOUT_NETWORK: Mapping[str, tuple[str, ...]] = {
    "apt-get": ("--no-download",), "dnf": ("-C", "--cacheonly"), "yum": ("-C", "--cacheonly"),
    "zypper": ("--no-refresh",), "pip": ("--no-index",), "pip3": ("--no-index",),
}
"""Words with which they do not."""


def is_idempotent(element: ElementUnderTest, script: str, *, env: Mapping[str, str] | None = None) -> ScriptRun:
    """Run `script` twice: the second time must succeed, too, and change nothing."""
    first = element.run(script, env=env)
    assert first.ok, f"{script} failed: {first.output}"
    second = element.run(script, env=env)
    assert second.ok, f"{script} failed when it ran again: {second.output}"
    assert not second.changes, f"{script} changed more when it ran again:\n{second.changes}"
    return second


def writes_only(element: ElementUnderTest, script: str, *allowed: str, env: Mapping[str, str] | None = None
                ) -> ScriptRun:
    """Run `script`: all that it adds, changes and removes must match one of `allowed` (`/etc/app/*`, see fnmatch)."""
    run = element.run(script, env=env)
    assert run.ok, f"{script} failed: {run.output}"
    touched = [*run.changes.added, *run.changes.changed, *run.changes.removed]
    outside = [path for path in touched if not any(fnmatch(path, pattern) for pattern in allowed)]
    assert not outside, f"{script} touched {', '.join(sorted(outside))}, which is outside of {', '.join(allowed)}"
    return run


def stays_offline(element: ElementUnderTest, script: str, *, env: Mapping[str, str] | None = None) -> ScriptRun:
    """Run `script` with DIB_OFFLINE=1: it must not call a program in a way that reaches the network.

    Real programs cannot reach it in a test anyhow; this is about recorded ones.
    """
    run = element.run(script, env={**(env or {}), "DIB_OFFLINE": "1"})
    reached = [f"{call.at or script}: {call.line}" for call in run.calls if reaches_network(call.name, call.args)]
    assert not reached, "with DIB_OFFLINE set, the network is called:\n" + "\n".join(reached)
    return run


def reaches_network(name: str, args: Sequence[str]) -> bool:
    """Whether a call of the program `name` would use the network."""
    if any(word in args for word in WITHOUT_NETWORK.get(name, ())) or any(arg.startswith("file://") for arg in args):
        return False
    if name in OVER_NETWORK:
        words = OVER_NETWORK[name]
        return not words or any(word in args for word in words)
    return name in NETWORK
