"""`pydib bench` and `pydib repro`, on the smallest operating system there is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pydib.cli.bench import _change

pytestmark = pytest.mark.machine
ODD = """#!/bin/bash
set -eu
head -c 8 /dev/urandom >/etc/key
echo same >/etc/same
dd if=/dev/zero of=/etc/large bs=1M count=8 conv=fsync status=none
"""


@pytest.fixture
def elements(tmp_path: Path, fixtures: Path) -> str:
    script = tmp_path / "elements/odd/install.d/50-odd"
    script.parent.mkdir(parents=True)
    script.write_text(ODD)
    script.chmod(0o755)
    return f"{tmp_path}/elements:{fixtures}/elements"


def pydib(place: Path, elements: str, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", "from pydib.cli.main import run; run()", *words, "--image-cache",
            str(place / "cache")]
    return subprocess.run(argv, text=True, capture_output=True, check=False, cwd=place, stdin=subprocess.DEVNULL,
                          env={**os.environ, "ELEMENTS_PATH": elements}, errors="replace")


def test_bench_tells_what_each_script_cost_and_compares(tmp_path: Path, elements: str) -> None:
    words = ("bench", "-t", "raw", "--no-base", "tiny-os", "odd")
    first = pydib(tmp_path, elements, *words, "--json", "--timeline", str(tmp_path / "t.html"))
    assert first.returncode == 0, first.stdout + first.stderr
    facts = json.loads(first.stdout)
    rows = {row["name"]: row for row in facts["rows"]}
    assert rows["install.d/50-odd"]["element"] == "odd"
    assert 8 << 20 <= rows["install.d/50-odd"]["written_bytes"] < 16 << 20
    assert rows["install.d/50-odd"]["seconds"] > 0
    assert rows["install"]["seconds"] >= rows["install.d/50-odd"]["seconds"]
    assert 10 << 20 < facts["engine_peak_bytes"] < 100_000_000, "the engine's own memory is under 100 MB"
    assert facts["last"] is None
    assert "install.d/50-odd" in (tmp_path / "t.html").read_text()
    second = pydib(tmp_path, elements, *words)
    assert second.returncode == 0, second.stderr
    assert "compared with " + facts["time"] in second.stdout
    assert re.search(r"^  install\.d/50-odd +\d+\.\d{3} ", second.stdout, re.MULTILINE), "it ran again"
    cached = pydib(tmp_path, elements, *words, "--cached")
    assert re.search(r"^  install\.d/50-odd +cached$", cached.stdout, re.MULTILINE)
    assert list(tmp_path.glob("image*")) == []


def test_bench_of_a_build_that_fails_has_its_exit_code(tmp_path: Path, elements: str) -> None:
    (tmp_path / "elements/odd/install.d/50-odd").write_text("#!/bin/bash\nexit 7\n")
    done = pydib(tmp_path, elements, "bench", "-t", "raw", "--no-base", "tiny-os", "odd")
    assert done.returncode == 7
    assert "pydib bench: the build failed" in done.stderr
    assert not (tmp_path / "cache/bench").exists()


@pytest.mark.parametrize(("now", "before", "told"), [(1.5, 1.0, "+50%"), (0.5, 1.0, "-50%"), (1.01, 1.0, ""),
                                                      (1.0, 0.0, "")])
def test_differences_that_are_no_noise(now: float, before: float, told: str) -> None:
    assert _change(now, before) == told


def test_repro_names_the_script_that_first_differs(tmp_path: Path, elements: str) -> None:
    later = tmp_path / "elements/odd/post-install.d/60-later"
    later.parent.mkdir()
    later.write_text("#!/bin/bash\nset -eu\ncat /etc/key >/etc/copy\n")
    later.chmod(0o755)
    done = pydib(tmp_path, elements, "repro", "-t", "raw,tar", "--no-base", "tiny-os", "odd")
    assert done.returncode == 1, done.stderr
    assert done.stdout == ("image.raw: different\nimage.tar: different\n"
                           "First different after install.d/50-odd:\n  changed  /etc/key  (content)\n"
                           "After post-install.d/60-later:\n  changed  /etc/copy  (content)\n")


def test_repro_of_what_can_be_repeated(tmp_path: Path, elements: str) -> None:
    done = pydib(tmp_path, elements, "repro", "-t", "raw,qcow2", "--no-base", "tiny-os")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.fullmatch(r"image\.qcow2: the same, sha256 \w{64}\nimage\.raw: the same, sha256 \w{64}\n", done.stdout)


def test_repro_names_its_outputs_itself(tmp_path: Path, elements: str) -> None:
    done = pydib(tmp_path, elements, "repro", "-o", "mine", "tiny-os")
    assert done.returncode == 1
    assert "leave out -o" in done.stderr
