"""The testkit: one script test, as root and as an ordinary user, and what the plugin costs who does not use it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.harness import Result

TESTS = 40
SCRIPT_LIMIT_SECONDS = 0.050
PLUGIN_LIMIT_SECONDS = 0.020
NOBODY = 65534

ELEMENT = "#!/bin/bash\nset -eu -o pipefail\napt-get -y install app\necho \"port $1\" >/etc/app.conf\n" \
          "sed -i s/port/Port/ /etc/app.conf\nsystemctl enable app\n"
TEST = f"""
import pytest

@pytest.mark.parametrize("number", range({TESTS}))
def test_it(fake_root, element, number):
    fake_root.like("debian-12")
    run = element("app").run_with("install.d/10-app", str(number))
    assert run.ok, run.output
    assert fake_root.read("/etc/app.conf") == f"Port {{number}}\\n"
    assert run.enabled == {{"app"}}
"""
CLOCK = """
import json, os, pytest, time

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_protocol(item):
    began = time.monotonic()
    yield
    with open(os.environ["BENCH_OUT"], "a") as file:
        file.write(json.dumps(time.monotonic() - began) + "\\n")
"""


def script_test(place: Path, runs: int) -> Result:
    """One test of one script: fixtures, a ready root, the run, its changes; by root."""
    return _script_test("script test, by root", place, runs, user=0)


def script_test_user(place: Path, runs: int) -> Result:
    """The same by an ordinary user, in a user namespace."""
    place.chmod(0o755)
    return _script_test("script test, by a user", place, runs, user=NOBODY)


def _script_test(case: str, place: Path, runs: int, *, user: int) -> Result:
    script = place / "elements/app/install.d/10-app"
    script.parent.mkdir(parents=True)
    script.write_text(ELEMENT)
    script.chmod(0o755)
    (place / "elements/app/tests").mkdir()
    (place / "elements/app/tests/test_app.py").write_text(TEST)
    (place / "conftest.py").write_text(CLOCK)
    out = place / "out"
    for path in (place, *place.rglob("*")):
        os.chown(path, user, user)
    ours: list[float] = []
    baseline: list[float] = []
    for _ in range(runs):
        out.write_text("")
        os.chown(out, user, user)
        _call(place, user, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--basetemp", place / "tmp",
              "elements", BENCH_OUT=str(out))
        ours += [float(json.loads(line)) for line in out.read_text().splitlines()][1:]  # the first sets the session up
        baseline += [_bare(place, user) for _ in range(TESTS // 4)]
        shutil.rmtree(place / "tmp", ignore_errors=True)
    return Result(case=case, ours=tuple(ours), baseline=tuple(baseline), limit_seconds=SCRIPT_LIMIT_SECONDS,
                  baseline_name="unshare(1) and bash alone, no mounts")


def _bare(place: Path, user: int) -> float:
    """Seconds of namespaces by unshare(1) and a bash that does nothing in them."""
    began = time.monotonic()
    _call(place, user, "unshare", "--user", "--map-root-user", "--mount", "--pid", "--net", "--ipc", "--uts", "--fork",
          "bash", "-c", ":")
    return time.monotonic() - began


def _call(place: Path, user: int, *words: str | Path, **environment: str) -> None:
    become = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"] if user else []
    env = {"PATH": os.environ["PATH"], "HOME": str(place), "LC_ALL": "C.UTF-8", **environment}
    done = subprocess.run([*become, *map(str, words)], cwd=place, env=env, text=True, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        raise SystemExit(f"benchmarks: {words[0]} ended with {done.returncode}\n{done.stdout[-2000:]}")


def plugin(place: Path, runs: int) -> Result:
    """What pytest takes longer with our plugin than without, for tests that do not use it; pairs, in turn."""
    (place / "test_nothing.py").write_text("def test_nothing():\n    assert True\n")
    options = ["-q", "-p", "no:cacheprovider", "test_nothing.py"]
    extra, without = [], []
    for number in range(max(runs, 3) * 5):
        sides: dict[bool, float] = {}
        for ours in ((True, False) if number % 2 else (False, True)):
            leave_out = [] if ours else ["-p", "no:pydib"]
            began = time.monotonic()
            _call(place, 0, sys.executable, "-m", "pytest", *leave_out, *options)
            sides[ours] = time.monotonic() - began
        extra.append(sides[True] - sides[False])
        without.append(sides[False])
    return Result(case="the plugin, unused: extra seconds", ours=tuple(extra), baseline=tuple(without),
                  limit_seconds=PLUGIN_LIMIT_SECONDS, baseline_name="pytest without the plugin")
