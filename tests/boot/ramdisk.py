"""Ramdisks for tests: made, started with peers around them that their work is to talk with, and watched."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pydib.host.stream import streamed
from pydib.verify.console import Console
from pydib.verify.kvm import kvm_answer
from pydib.verify.qemu import Drive, Forward, Kernel, Machine, qemu_argv

HOST = "10.0.2.2"
"""What this machine's loopback address is for the guest."""
BOOTIF = "BOOTIF=01-52-54-00-12-34-56"
"""The address that QEMU gives to the first network card; a boot loader that fetched the ramdisk tells it so."""


def make(place: Path, *elements: str, **env: str) -> None:
    """Kernel and ramdisk of these elements come out as `rd.kernel` and `rd.initramfs`, in `place`."""
    argv = [sys.executable, "-c", "from pydib.cli.drop_in import ramdisk_image_create as r; r()", "-o", "rd", *elements]
    done = subprocess.run(argv, env={**os.environ, "DIB_RELEASE": "bookworm", **env}, cwd=place, text=True,
                          capture_output=True, check=False, errors="replace", stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr
    names = {path.name for path in place.iterdir()}
    assert names - {"rd.iso"} == {"rd.d", "rd.initramfs", "rd.kernel"}


@dataclass(kw_only=True)
class Start:
    """One start of a ramdisk: `when` a line has this text, what is there is called, once."""

    place: Path
    command_line: str
    drives: tuple[Drive, ...] = ()
    forwards: tuple[Forward, ...] = ()
    more: tuple[str, ...] = ()
    tftp: Path | None = None
    memory_mib: int = 1024
    when: Mapping[str, Callable[[], None]] = field(default_factory=dict)

    def until(self, expect: str, *, timeout_seconds: float = 420) -> str:
        """Run until the console says so; all that it said. The machine is gone when this returns."""
        lines: list[str] = []
        waiting = dict(self.when)

        def on_line(line: str) -> None:
            lines.append(line)
            for text in [text for text in waiting if text in line]:
                waiting.pop(text)()

        console = Console(expect=expect, on_line=on_line)
        with streamed(*self._argv()) as child:
            for piece in child.output(timeout_seconds=timeout_seconds):
                console.feed(piece)
                if console.reached:
                    break
        console.finish()
        told = "\n".join(lines)
        assert console.reached, told
        assert not waiting, told
        return told

    def _argv(self) -> list[str]:
        kernel = Kernel(path=self.place / "rd.kernel", initrd=self.place / "rd.initramfs",
                        command_line=f"console=ttyS0 quiet {self.command_line}")
        machine = Machine(memory_mib=self.memory_mib, accelerator="kvm" if kvm_answer(os.environ).usable else "tcg",
                          kernel=kernel, drives=self.drives, forwards=self.forwards)
        served = f",tftp={self.tftp}" if self.tftp else ""
        words = [word + served if word.startswith("user,id=net0") else word for word in qemu_argv(machine)]
        return [*words, *self.more]


@dataclass(kw_only=True)
class Peer:
    """An HTTP server on our loopback address: what was asked (path, body; headers), and what it answers."""

    port: int
    answers: Mapping[str, str]
    asked: list[tuple[str, str]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address, for the guest."""
        return f"http://{HOST}:{self.port}"


@contextmanager
def peer(**answers: str) -> Iterator[Peer]:
    """A server that answers everything with `{}`, and paths in which a name of `answers` occurs with what is there.

    Heartbeats of Ironic's agent are accepted (202), all else is well (200).
    """
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
            server.headers.append(dict(self.headers))
            server.asked.append((self.path, body))
            answer = next((text for end, text in answers.items() if end in self.path), "{}").encode()
            self.send_response(202 if "heartbeat" in self.path else 200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST

        def log_message(self, format: str, *args: object) -> None:
            """Nothing: the test looks at what was asked."""

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server = Peer(port=listening.server_address[1], answers=answers)
    threading.Thread(target=listening.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        listening.shutdown()
        listening.server_close()


def free_port() -> int:
    """A TCP port of the loopback address that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def call(port: int) -> None:
    """Connect to it, and hang up."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as one:
        one.sendall(b"done\n")
