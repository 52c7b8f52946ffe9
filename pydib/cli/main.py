"""The `pydib` command: a group whose commands are imported only when they are called."""

from __future__ import annotations

import importlib
import sys

import click

from pydib import __version__
from pydib.cli.errors import report_errors

COMMANDS = {
    "bench": "Tell what each phase and script of a build costs, beside the last time.",
    "blame": "Say which script wrote a file of an image.",
    "boot": "Boot an image in QEMU and wait for its login prompt.",
    "build": "Build an image from elements.",
    "cache": "Look after the layers of earlier builds.",
    "diff": "Tell how two images, or two points of a build, differ.",
    "doctor": "Say what this machine can do, and what is missing.",
    "elements": "List the elements there are, or show one.",
    "inspect": "Look into an image without mounting it.",
    "lint": "Check elements by reading them.",
    "new": "Write an element to begin with, and its first test.",
    "plan": "Show what a build would do, without doing it.",
    "repro": "Build twice, and name the script that first differs.",
    "resolve": "Expand elements by their dependencies.",
    "shell": "Open a shell before or after a script of a build.",
    "size": "Say how much of an image each element and script made.",
    "test": "Run the tests of elements.",
    "trove": "Build guest images for OpenStack Trove, and try them.",
    "why": "Say which scripts of the last build ran, and why.",
}
ELSEWHERE = {"trove": "pydib.trove.command"}
"""Commands that have a room of their own."""


class Commands(click.Group):
    """Finds `pydib NAME` in the module `pydib.cli.NAME`, or the one that `ELSEWHERE` names, as its `command`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(ELSEWHERE.get(cmd_name, f"pydib.cli.{cmd_name}"))
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in --help, without importing every command."""
        with formatter.section("Commands"):
            formatter.write_dl(sorted(COMMANDS.items()))

    def resolve_command(self, ctx: click.Context, args: list[str]
                        ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does it, with a guess when the name is unknown."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, n=1)
            guess = f" Did you mean {close[0]}?" if close else ""
            ctx.fail(f"No such command {args[0]!r}.{guess}")
        return super().resolve_command(ctx, args)


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="pydib")
def group() -> None:
    """Builds disk images from diskimage-builder elements, without diskimage-builder."""


def run() -> None:
    """The `pydib` program."""
    sys.exit(report_errors(lambda: group.main(standalone_mode=False)))
