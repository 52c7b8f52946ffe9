"""`pydib boot`: an image in QEMU, its console as plain lines, until a login prompt or `--expect TEXT`."""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from pydib.errors import EngineError, RecipeError
from pydib.sizes import parse_size

if TYPE_CHECKING:
    from pydib.verify.qemu import Drive, Forward


@click.command()
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--expect", metavar="TEXT", help="Wait for this text in a line of the console, not for a login prompt.")
@click.option("--timeout", "timeout_seconds", type=click.FloatRange(min=1), default=600, show_default=True,
              metavar="SECONDS", help="How long to wait.")
@click.option("--memory", "memory_mib", type=click.IntRange(min=64), default=1024, show_default=True, metavar="MIB",
              help="Memory of the machine.")
@click.option("--cpus", type=click.IntRange(min=1), default=2, show_default=True, metavar="N",
              help="Processors of the machine.")
@click.option("--firmware", type=click.Choice(["bios", "efi"]), default="bios", show_default=True,
              help="What starts the image's boot loader.")
@click.option("--sector-size", "sector_bytes", type=click.Choice(["512", "4096"]), default="512", show_default=True,
              help="Bytes in a sector of the image's disk; 4096 for block-device-efi-4k.")
@click.option("--config-drive", "seed", flag_value="config-drive", help="Add a config drive, as Nova makes it.")
@click.option("--nocloud", "seed", flag_value="nocloud", help="Add a drive for cloud-init's NoCloud.")
@click.option("--inject", "injected", multiple=True, metavar="PATH=FILE",
              help="Have cloud-init write FILE to PATH in the machine; implies --config-drive.")
@click.option("--user-data", type=click.Path(path_type=Path), help="User data for cloud-init.")
@click.option("--network-data", type=click.Path(path_type=Path), help="network_data.json, or NoCloud's network-config.")
@click.option("--hostname", default="pydib-guest", show_default=True, help="Name of the machine.")
@click.option("--volume", "volumes", multiple=True, metavar="SIZE", help="Add an empty disk, for example 1GiB.")
@click.option("--forward", "ports", multiple=True, metavar="PORT:GUEST_PORT",
              help="Lead a TCP port of the loopback address here to one of the machine.")
@click.option("-q", "--quiet", is_flag=True, help="Do not show the console.")
def command(image: Path, quiet: bool, seed: str | None, injected: tuple[str, ...], user_data: Path | None,
            network_data: Path | None, hostname: str, volumes: tuple[str, ...], ports: tuple[str, ...],
            sector_bytes: str, **options: Any) -> int:
    """Boot IMAGE in QEMU and wait for a login prompt on its serial console. The image is not changed. A file
    that ends in .iso lies in the machine's CD drive.

    Exit code 0 when the prompt came, 1 when it did not.
    """
    from pydib.verify.boot import boot

    wanted = f"`{options['expect']}`" if options["expect"] is not None else "a login prompt"
    forwards = tuple(map(_forward, ports))
    told = _told(injected, user_data, network_data)
    kind = seed or ("config-drive" if told else "")
    with _folder() if volumes or kind else nullcontext(Path()) as folder:
        drives = [*_volumes(volumes, folder)]
        if kind:
            drives.append(_seed_drive(kind, {**told, "hostname": hostname}, folder))
        result = boot(image, on_line=_forget if quiet else click.echo, drives=drives, forwards=forwards,
                      sector_bytes=int(sector_bytes), **options)
    how = "under KVM" if result.accelerator == "kvm" else "emulated, without KVM"
    if result.reached:
        click.echo(f"{image}: reached {wanted} after {result.seconds:.1f} s ({how})")
        return 0
    raise EngineError(f"the image did not reach {wanted}: {result.reason}; {_last_seen(result.tail, quiet=quiet)}",
                      where=str(image), hint=_advice(result.reason, result.tail))


@contextmanager
def _folder() -> Iterator[Path]:
    """For drives that are made."""
    with tempfile.TemporaryDirectory(prefix="pydib-boot-") as folder:
        yield Path(folder)


def _forward(text: str) -> Forward:
    from pydib.verify.qemu import Forward

    host, _, guest = text.partition(":")
    if not (host.isdigit() and guest.isdigit() and 0 < int(host) < 65536 and 0 < int(guest) < 65536):
        raise RecipeError(f"{text!r} are not two ports", where="--forward", hint="for example --forward 6379:6379")
    return Forward(host_port=int(host), guest_port=int(guest))


def _told(injected: tuple[str, ...], user_data: Path | None, network_data: Path | None) -> dict[str, Any]:
    """What cloud-init is to be told, as far as options say so."""
    told: dict[str, Any] = {}
    if injected:
        told["files"] = {path: _read(Path(file), "--inject") for path, file in map(_pair, injected)}
    if user_data is not None:
        told["user_data"] = _read(user_data, "--user-data").decode(errors="replace")
    if network_data is not None:
        try:
            told["network_data"] = json.loads(_read(network_data, "--network-data"))
        except ValueError as problem:
            raise RecipeError(f"this is no JSON: {problem}", where=f"--network-data {network_data}") from None
    return told


def _pair(text: str) -> tuple[str, str]:
    path, equals, file = text.partition("=")
    if not equals or not file:
        raise RecipeError(f"{text!r} does not say which file goes where", where="--inject",
                          hint="for example --inject /etc/app/app.conf=app.conf")
    return path, file


def _read(file: Path, option: str) -> bytes:
    try:
        return file.read_bytes()
    except OSError as problem:
        raise RecipeError(f"{file} cannot be read: {problem.strerror}", where=option) from None


def _volumes(sizes: tuple[str, ...], folder: Path) -> Iterator[Drive]:
    from pydib.verify.drives import empty_volume

    for number, size in enumerate(sizes):
        yield empty_volume(number, parse_size(size), folder)


def _seed_drive(kind: str, told: dict[str, Any], folder: Path) -> Drive:
    from pydib.verify.drives import seed_drive
    from pydib.verify.seed import Seed

    return seed_drive("nocloud" if kind == "nocloud" else "config-drive", Seed(uuid=str(uuid.uuid4()), **told), folder)


def _forget(line: str) -> None:
    """What --quiet does with the console."""


def _last_seen(tail: tuple[str, ...], *, quiet: bool) -> str:
    """The end of the console; a line is enough for somebody who watched it."""
    if not tail:
        return "its serial console said nothing"
    return "the last it said was\n" + "\n".join("    " + line for line in tail[-15 if quiet else -1:])


def _advice(reason: str, tail: tuple[str, ...]) -> str:
    if not tail or "firmware" in reason:
        return "the image needs a boot loader for this firmware (see --firmware) and a console on ttyS0"
    if "it did not come within" in reason:
        return "give it more time with --timeout, or look what it waits for"
    return "look at the lines above; `pydib inspect` shows what is in the image"
