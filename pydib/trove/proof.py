"""Booting a guest image, and having its agent do what Trove would have it do first."""

from __future__ import annotations

import secrets
import tempfile
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydib.errors import EngineError
from pydib.sizes import GIB
from pydib.trove import classic, rabbitmq
from pydib.trove.answers import DATABASE, DATABASES, USER, Database, ask
from pydib.trove.broker import ControlPlane, connected
from pydib.trove.guest import Guest
from pydib.trove.variables import TROVE_VERSION
from pydib.verify.boot import machine_for
from pydib.verify.drives import empty_volume, seed_drive
from pydib.verify.image_file import image_file
from pydib.verify.qemu import Forward
from pydib.verify.running import Running, running

UP = ("running", "healthy")
VOLUME_BYTES = GIB
DEVICE, MOUNT_POINT = "/dev/vdb", "/var/lib/trove"
BETWEEN_HEARTBEATS_SECONDS = 150.0
"""oslo.service looks after periodic tasks about once a minute, whatever the configuration says."""

Tell = Callable[[str, float], None]


@dataclass(frozen=True, kw_only=True)
class Proof:
    """What was seen, in seconds since power-on."""

    agent_seconds: float
    up_seconds: float
    heartbeats: tuple[str, ...]
    answer: str


def prove(image: Path, *, datastore: str, broker_url: str = "", timeout_seconds: float = 300.0, memory_mib: int = 1024,
          cpus: int = 2, heartbeats: int = 2, trove_version: str = TROVE_VERSION,
          tell: Tell = lambda what, seconds: None,
          on_line: Callable[[str], None] = lambda line: None) -> Proof:
    """Boot `image` with a configuration of its own, and go through its agent's first minutes.

    Args:
        datastore: as Trove calls it.
        trove_version: release of the agent in the image.
        broker_url: `rabbit://USER:PASSWORD@HOST:PORT/`; without it a RabbitMQ is started for the time.
        timeout_seconds: for the agent to come, and again for the database to be up.
        heartbeats: how many that report the database up are waited for.
        tell: gets each thing that was seen, and its seconds since power-on.
        on_line: gets each line of the guest's console.

    Raises:
        InputError: `image` is no disk image, or `broker_url` no broker's.
        EngineError: something did not happen; says what, and the end of the console.
        ToolMissing: a program or library is not installed.
    """
    image_file(image)  # before a broker is started for nothing
    database = DATABASES.get(datastore)
    told = classic.told(datastore, trove_version) if classic.is_classic(trove_version) else None
    guest = Guest(datastore=datastore)
    password = secrets.token_hex(12)
    with ExitStack() as stack:
        url = broker_url or stack.enter_context(rabbitmq.started())
        connection = stack.enter_context(connected(url))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pydib-trove-")))
        port = rabbitmq.free_port()
        machine = machine_for(
            image, memory_mib=memory_mib, cpus=cpus,
            drives=(empty_volume(0, VOLUME_BYTES, folder), seed_drive("config-drive", guest.seed(url), folder)),
            forwards=(Forward(host_port=port, guest_port=database.port),) if database else ())
        vm = stack.enter_context(running(machine, timeout_seconds=4 * timeout_seconds, on_line=on_line))
        plane = ControlPlane(connection, guest_id=guest.guest_id, key=guest.key, over=lambda: vm.dead_end)
        stack.enter_context(plane.listening())
        stack.callback(plane.forget_guest)
        with _console_on_failure(vm):
            plane.wait_for_agent(timeout_seconds)
            agent_seconds = vm.seconds
            tell("the guest agent consumes its queue", agent_seconds)
            _ping(plane, timeout_seconds)
            tell("it answers rpc_ping", vm.seconds)
            steps = _prepare(plane, database, password, told)
            seen, up_seconds = _heartbeats(plane, vm, heartbeats, steps, timeout_seconds, tell)
            answer = ask(database, port, password) if database else ""
            if database:
                tell(f"the database answers {database.question} with {answer}", vm.seconds)
    return Proof(agent_seconds=agent_seconds, up_seconds=up_seconds, heartbeats=tuple(seen), answer=answer)


def _ping(plane: ControlPlane, timeout_seconds: float) -> None:
    if (answer := plane.call("rpc_ping", timeout_seconds)) is not True:
        raise EngineError(f"the guest agent answers rpc_ping with {answer!r}, not with true")


def _prepare(plane: ControlPlane, database: Database | None, password: str, told: classic.Told | None
             ) -> tuple[str, ...]:
    """Ask for it; gives what the agent will report the end of, in this order."""
    users, databases = [], []
    if database and database.has_users:
        databases = [{"_name": DATABASE, "_character_set": None, "_collate": None}]
        users = [{"_name": USER, "_password": password, "_host": "%", "_databases": [{"_name": DATABASE}]}]
    plane.cast("prepare", packages=[], databases=databases, memory_mb=512, users=users, device_path=DEVICE,
               mount_point=told.mount_point if told else MOUNT_POINT, backup_info=None,
               config_contents=told.configuration if told else "", root_password=None, overrides=None,
               cluster_config=None, snapshot=None, modules=None, **({} if told else {"ds_version": "1"}))
    return ("a database is made", "a user is made", "prepare has ended") if users else ("prepare has ended",)


def _heartbeats(plane: ControlPlane, vm: Running, wanted: int, steps: tuple[str, ...], timeout_seconds: float,
                tell: Tell) -> tuple[list[str], float]:
    """All states that the guest reports until `wanted` of them say that the database is up, and when the first did.

    Meanwhile all `steps` must come to their end.
    """
    seen: list[str] = []
    up_seconds = 0.0
    ahead = deque(steps)
    while sum(state in UP for state in seen) < wanted or ahead:
        up = any(state in UP for state in seen)
        message = plane.next_message(BETWEEN_HEARTBEATS_SECONDS if up else timeout_seconds,
                                     "no further heartbeat came" if up else "`prepare` did not bring the database up")
        if message.method == "notify_exc_info":
            raise EngineError(f"`prepare` failed in the guest: {message.args.get('message')}")
        if message.method == "notify_end" and ahead:
            tell(ahead.popleft(), vm.seconds)
        if message.method != "heartbeat":
            continue
        payload = message.args.get("payload")
        state = str(payload.get("service_status")) if isinstance(payload, dict) else "?"
        seen.append(state)
        tell(f"heartbeat: {state}", vm.seconds)
        if state == "failed to spawn":
            raise EngineError("`prepare` failed: the guest agent reports `failed to spawn`")
        up_seconds = up_seconds or (vm.seconds if state in UP else 0.0)
    return seen, up_seconds


@contextmanager
def _console_on_failure(vm: Running) -> Iterator[None]:
    try:
        yield
    except EngineError as problem:
        last = "\n".join("    " + line for line in vm.tail[-15:]) or "    nothing"
        raise EngineError(f"{problem.what}; the last that the guest's console said was\n{last}",
                          where=problem.where, hint=problem.hint or "see it all with --console") from None
