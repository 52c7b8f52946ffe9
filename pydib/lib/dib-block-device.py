#!/usr/bin/env python3
"""Block devices for scripts: `$DIB_PYTHON_EXEC $_LIB/dib-block-device.py [--params FILE] COMMAND` (C-207 to C-209).

    init          check the configuration, and write it down completed
    getval NAME   print root-label, root-fstype, boot-label, mount-points; once the disk exists also image-path,
                  image-block-device, image-block-devices
    create        make, partition, format and mount the disk
    writefstab    write etc/fstab of the tree
    umount        unmount and detach it; the image files stay
    cleanup       forget it
    delete        umount, and remove the image files

In a build, the build does all of this itself: scripts ask with getval. The other commands work on parameters of a
script's own. Such a disk stays until `umount`, or until the build ends; see detached_disk.py.
Errors are one message on stderr and exit code 1; wrong usage is exit code 2.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

try:
    import pydib  # noqa: F401
except ImportError:  # another Python than pydib's own: it lies two folders up
    sys.path.append(str(Path(__file__).resolve().parents[2]))

from pydib.blockdev.state import (
    NO_STATE,
    Params,
    answer,
    forget,
    load_graph,
    read_params,
    read_state,
    state_dir,
    write_config,
)
from pydib.errors import BlockDeviceError, PydibError, RecipeError
from pydib.events import Event, Note, Warned

PROGRAM = "dib-block-device.py"


def say(text: str) -> None:
    """A line for the log."""
    sys.stderr.write(f"{PROGRAM}: {text}\n")


def report(event: Event) -> None:
    """What the jobs report, as lines of the log."""
    if isinstance(event, Note | Warned):
        say(event.text)


def detached_disk() -> ModuleType:
    """The neighbour of this file, read only when a disk is made or taken down."""
    return importlib.import_module("detached_disk")


def init(params: Params, symbol: str) -> None:
    """Check the configuration and write it down. What an earlier disk left is forgotten."""
    directory = state_dir(params.build_dir)
    if read_state(directory) is None:
        forget(directory)
    say(f"the configuration is in {write_config(directory, load_graph(params))}")


def getval(params: Params, symbol: str) -> None:
    """Print an answer. An unknown name is an empty answer once the disk exists (C-209)."""
    found = answer(symbol, params)
    if found is None:
        say(f"there is no value {symbol!r}")
    else:
        sys.stdout.write(found + "\n")


def create(params: Params, symbol: str) -> None:
    """Make the disk, and leave it."""
    detached_disk().create(params, report)
    sys.stdout.flush()
    os._exit(0)  # an orderly end would take the disk down


def umount(params: Params, symbol: str) -> None:
    """Unmount and detach; having nothing to do is fine."""
    if not detached_disk().take_down(params):
        say("there is no disk, so nothing is unmounted")


def cleanup(params: Params, symbol: str) -> None:
    """Forget a disk that was unmounted."""
    umount_first(params)
    forget(state_dir(params.build_dir))


def umount_first(params: Params) -> None:
    """There must be a disk; should it be mounted yet, it is unmounted now."""
    require_state(params)
    umount(params, "")


def delete(params: Params, symbol: str) -> None:
    """Remove a disk with its files."""
    require_state(params)
    detached_disk().delete(params)


def writefstab(params: Params, symbol: str) -> None:
    """Write etc/fstab of the tree that goes onto the disk; whatever was in there goes (C-222)."""
    require_state(params)
    path = params.build_dir / "built/etc/fstab"
    try:
        path.write_text(load_graph(params).fstab_text(), encoding="utf-8")
    except OSError as problem:
        raise BlockDeviceError(f"fstab cannot be written: {problem.strerror}", where=str(path),
                               hint="the tree of the image must lie in `built` of the build directory") from None


def require_state(params: Params) -> None:
    """Raises BlockDeviceError when no disk was made."""
    if read_state(state_dir(params.build_dir)) is None:
        raise BlockDeviceError(NO_STATE, where=str(state_dir(params.build_dir)), hint="make the disk first: create")


COMMANDS: dict[str, Callable[[Params, str], None]] = {
    "init": init, "getval": getval, "create": create, "umount": umount, "cleanup": cleanup, "delete": delete,
    "writefstab": writefstab,
}


def main(arguments: list[str] | None = None) -> int:
    """Carry out a command; gives the exit code."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Make, ask for and take down block devices.")
    parser.add_argument("--params", default=os.environ.get("DIB_BLOCK_DEVICE_PARAMS_YAML"), metavar="FILE",
                        help="YAML file with the parameters; default: DIB_BLOCK_DEVICE_PARAMS_YAML")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, carry_out in COMMANDS.items():
        command = commands.add_parser(name, help=(carry_out.__doc__ or "").split(".")[0])
        if name == "getval":
            command.add_argument("symbol", help="what to print")
    given = parser.parse_args(arguments)
    try:
        if not given.params:
            raise RecipeError("no parameters were given",
                              hint="give --params FILE, or set DIB_BLOCK_DEVICE_PARAMS_YAML")
        COMMANDS[given.command](read_params(Path(given.params)), getattr(given, "symbol", ""))
    except PydibError as error:
        say(str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
