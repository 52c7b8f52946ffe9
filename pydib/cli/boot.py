"""`pydib boot`: an image in QEMU, its console as plain lines, until a login prompt or `--expect TEXT`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from pydib.errors import EngineError


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
@click.option("-q", "--quiet", is_flag=True, help="Do not show the console.")
def command(image: Path, quiet: bool, **options: Any) -> int:
    """Boot IMAGE in QEMU and wait for a login prompt on its serial console. The image is not changed.

    Exit code 0 when the prompt came, 1 when it did not.
    """
    from pydib.verify.boot import boot

    wanted = f"`{options['expect']}`" if options["expect"] is not None else "a login prompt"
    result = boot(image, on_line=_forget if quiet else click.echo, **options)
    how = "under KVM" if result.accelerator == "kvm" else "emulated, without KVM"
    if result.reached:
        click.echo(f"{image}: reached {wanted} after {result.seconds:.1f} s ({how})")
        return 0
    raise EngineError(f"the image did not reach {wanted}: {result.reason}; {_last_seen(result.tail, quiet=quiet)}",
                      where=str(image), hint=_advice(result.reason, result.tail))


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
