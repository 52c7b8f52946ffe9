"""What a script mounts over the directories that the build works in goes when the script has ended."""

from __future__ import annotations

import subprocess
import sys

import pytest

SCRIPT = """
import subprocess, sys
from pathlib import Path
from pydib.host.sight import kept_in_sight
top = Path(sys.argv[1])
(top / "home/store").mkdir(parents=True)
(top / "home/store/layer").touch()
(top / "elsewhere").mkdir()
told = []
with kept_in_sight([top / "home/store"], told.append):
    for place in (top / "elsewhere", top / "home", top / "home"):
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", place], check=True)
print(told == [top / "home"] * 2, (top / "home/store/layer").exists(), (top / "elsewhere").is_mount())
told.clear()
with kept_in_sight([top / "home/store"], told.append):
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", top / "home/store"], check=True)
    subprocess.run(["umount", top / "home/store"], check=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", top], check=True)
    subprocess.run(["umount", top], check=True)
print(told)
"""


@pytest.mark.machine
def test_what_hides_a_place_is_unmounted_and_nothing_else(tmp_path):
    done = subprocess.run(["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", SCRIPT, tmp_path],
                          capture_output=True, text=True, check=False)
    assert done.stdout == "True True True\n[]\n", done.stderr
