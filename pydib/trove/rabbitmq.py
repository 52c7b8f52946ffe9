"""A RabbitMQ of our own: on the loopback address, with its files in a folder that goes, gone with its user."""

from __future__ import annotations

import os
import secrets
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydib import clock, template
from pydib.errors import EngineError, ToolMissing
from pydib.host.stream import Child, streamed

SERVER = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
START_SECONDS = 90.0
GUESTS_WAY = "10.0.2.2"
"""Under this address a guest behind QEMU's user network reaches our loopback address."""


def is_installed() -> bool:
    """Whether there is a RabbitMQ to start."""
    return SERVER.exists()


def free_port() -> int:
    """A TCP port of the loopback address that nobody uses at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@contextmanager
def started() -> Iterator[str]:
    """Run RabbitMQ for as long as the block lasts; gives its URL, with a password of its own.

    Raises:
        ToolMissing: it is not installed.
        EngineError: it does not start.
    """
    if not is_installed():
        raise ToolMissing("there is no message broker: RabbitMQ is not installed",
                          hint="install it: apt-get install --no-install-recommends rabbitmq-server; "
                               "or name one with --broker rabbit://USER:PASSWORD@HOST:5672/")
    password = secrets.token_hex(16)
    port, distribution, names = free_port(), free_port(), free_port()
    with tempfile.TemporaryDirectory(prefix="pydib-rabbitmq-", ignore_cleanup_errors=True) as folder:
        place = Path(folder)
        (place / "rabbitmq.conf").write_text(template.render("trove/rabbitmq.conf.j2", port=port, password=password))
        (place / "enabled_plugins").write_text("[].\n")
        environment = _environment(place, distribution, names)
        # Erlang's name server: the one that RabbitMQ would start itself outlives it
        with streamed("epmd", "-address", "127.0.0.1", "-port", str(names), env=environment), \
                streamed(SERVER, env=environment, cwd=place) as server:
            _wait(server, port, place)
            yield f"rabbit://pydib:{password}@127.0.0.1:{port}/"


def _environment(place: Path, distribution: int, names: int) -> dict[str, str]:
    """Everything in `place`, and on ports of our own: `distribution` for other Erlang programs, `names` for epmd."""
    return {
        "PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"), "LC_ALL": "C.UTF-8", "HOME": str(place),
        "RABBITMQ_CONFIG_FILE": str(place / "rabbitmq"), "RABBITMQ_MNESIA_BASE": str(place / "mnesia"),
        "RABBITMQ_LOG_BASE": str(place / "log"), "RABBITMQ_PID_FILE": str(place / "pid"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(place / "enabled_plugins"), "RABBITMQ_CONF_ENV_FILE": str(place / "none"),
        "RABBITMQ_NODENAME": f"pydib{distribution}@localhost", "RABBITMQ_DIST_PORT": str(distribution),
        "ERL_EPMD_ADDRESS": "127.0.0.1", "ERL_EPMD_PORT": str(names),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        "RABBITMQ_SERVER_ERL_ARGS": "+sbwt none",
    }


def _wait(server: Child, port: int, place: Path) -> None:
    """Until the server says that it is up; what it says is read for that."""
    said = b""
    deadline = clock.monotonic() + START_SECONDS
    for piece in server.output(timeout_seconds=START_SECONDS):
        said += piece
        if b"completed with" in said:
            return
        if clock.monotonic() > deadline:
            break
    last = said.decode(errors="replace").strip().splitlines()[-8:]
    raise EngineError(f"RabbitMQ did not start on port {port}; the last it said was\n"
                      + "\n".join("    " + line for line in last), where=str(place))
