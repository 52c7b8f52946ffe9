"""A real sshd on the loopback address, for tests."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydib.host.stream import streamed
from pydib.trove.rabbitmq import free_port

CONFIG = """\
Port {port}
ListenAddress 127.0.0.1
HostKey {place}/host_key
AuthorizedKeysFile {key}.pub
StrictModes no
UsePAM yes
PermitRootLogin prohibit-password
PidFile none
"""


@contextmanager
def sshd(place: Path, key: Path) -> Iterator[int]:
    """Keep an sshd running that lets root in with `key`, which is made; gives its port. Its files are in `place`."""
    for file, kind in ((place / "host_key", "ed25519"), (key, "rsa")):
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", file], check=True)
    port = free_port()
    (place / "sshd.conf").write_text(CONFIG.format(port=port, place=place, key=key))
    Path("/run/sshd").mkdir(exist_ok=True)  # privilege separation wants it; a service would make it
    with streamed("/usr/sbin/sshd", "-D", "-e", "-f", place / "sshd.conf") as server:
        said = b""
        for piece in server.output(timeout_seconds=20):
            said += piece
            if b"Server listening" in said:
                break
        yield port
