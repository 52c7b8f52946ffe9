"""`--agent sync`: what a guest runs before its agent's first start fetches a source tree from a real sshd."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pydib import paths
from pydib.host.command import find_tool
from tests.trove.sshd import sshd

SCRIPT = paths.elements_dir() / "guest-agent/guest-agent/trove-guestagent-sync"
pytestmark = [
    pytest.mark.machine,
    pytest.mark.skipif(not all(map(find_tool, ("sshd", "ssh", "rsync"))), reason="sshd, ssh or rsync is not installed"),
]


@pytest.fixture
def controller(tmp_path: Path) -> Iterator[int]:
    """A controller on the loopback address, which lets in who has the guest's key; gives its port."""
    (tmp_path / "guest/.ssh").mkdir(parents=True, mode=0o700)
    with sshd(tmp_path, tmp_path / "guest/.ssh/id_rsa") as port:
        yield port


def sync(place: Path, port: int, tree: Path) -> subprocess.CompletedProcess[str]:
    """Run it as a guest does. ssh looks for keys in the home directory of the user's entry, not in HOME: name them."""
    (place / "bin").mkdir(exist_ok=True)
    ssh = place / "bin/ssh"
    ssh.write_text(f'#!/bin/sh\nexec {find_tool("ssh")} -i {place}/guest/.ssh/id_rsa '
                   f'-o UserKnownHostsFile={place}/guest/.ssh/known_hosts "$@"\n')
    ssh.chmod(0o755)
    return subprocess.run([SCRIPT], text=True, capture_output=True, check=False, timeout=60, env={
        "HOME": str(place / "guest"), "PATH": f"{place}/bin:{os.environ['PATH']}", "CONTROLLER_IP": "127.0.0.1",
        "HOST_SCP_USERNAME": "root", "PATH_TROVE": str(tree), "TROVE_SSH_PORT": str(port)})


def test_the_tree_is_fetched_once(controller: int, tmp_path: Path) -> None:
    tree = tmp_path / "my trove; touch x"
    (tree / "trove").mkdir(parents=True)
    (tree / ".git").mkdir()
    (tree / "trove/main.py").write_text("x = 1\n")
    done = sync(tmp_path, controller, tree)
    assert done.returncode == 0, done.stderr
    assert f"fetched {tree} from 127.0.0.1" in done.stdout
    copy = tmp_path / "guest/trove"
    assert (copy / "trove/main.py").read_text() == "x = 1\n" and not (copy / ".git").exists()
    (tree / "trove/main.py").write_text("x = 2\n")
    assert sync(tmp_path, controller, tree).returncode == 0
    assert (copy / "trove/main.py").read_text() == "x = 1\n"


def test_a_controller_that_became_another_one_is_not_trusted(controller: int, tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    assert sync(tmp_path, controller, tmp_path / "tree").returncode == 0
    known = tmp_path / "guest/.ssh/known_hosts"
    other = (tmp_path / "guest/.ssh/id_rsa.pub").read_text().split()[:2]
    known.write_text(f"[127.0.0.1]:{controller} {' '.join(other)}\n")
    (tmp_path / "guest/trove-installed").unlink()
    done = sync(tmp_path, controller, tmp_path / "tree")
    assert done.returncode != 0 and "REMOTE HOST IDENTIFICATION HAS CHANGED" in done.stderr
    assert not (tmp_path / "guest/trove-installed").exists()
