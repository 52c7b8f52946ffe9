"""`pydib trove`: guest images for OpenStack Trove, built with one command and tried with another."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from pydib import recipe
from pydib.element.resolve import resolve, with_defaults
from pydib.element.shelf import Shelf, find_elements
from pydib.errors import RecipeError
from pydib.recipe import Recipe, Wishes
from pydib.trove.checks import before_work
from pydib.trove.classic import is_classic
from pydib.trove.datastores import Guest, choose, offered
from pydib.trove.registration import Registered, commands
from pydib.trove.variables import AGENTS, TROVE_VERSION, VARIABLES, environment_for


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def command() -> None:
    """Build guest images for OpenStack Trove, and try them."""


def variable_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """An option for each variable of Trove's scripts."""
    for variable in reversed(VARIABLES):
        default = f" Default: {variable.default}." if variable.default else ""
        function = click.option(variable.option, variable.name, metavar="VALUE",
                                help=f"{variable.help} [{variable.name}]{default}")(function)
    return function


@command.command("build")
@click.option("--datastore", required=True, metavar="NAME", help="Database, as Trove calls it: redis, mysql ...")
@click.option("--distro", metavar="NAME", help="debian, ubuntu or fedora [DISTRO]. Default: debian.")
@click.option("--release", metavar="NAME", help="Release of the distribution [RELEASE].")
@click.option("-a", "--arch", metavar="ARCH", help="Architecture; default the machine's.")
@click.option("-o", "--output", metavar="FILE", help="The image; default DISTRO_DATASTORE.qcow2.")
@click.option("--agent", type=click.Choice(AGENTS), default="build", show_default=True,
              help="build: install the guest agent now; sync: the guest fetches it from the controller at its first "
                   "boot (for development: the private key goes into the image); none: no agent.")
@variable_options
@click.option("--elements-path", metavar="DIRS", help="Folders to look for elements in first [ELEMENTS_PATH].")
@click.option("--rebuild/--reuse", default=False, help="Run every script again, or use the layers of earlier builds. "
                                                       "Default: reuse [REBUILD_IMAGE].")
@click.option("--no-tmpfs", is_flag=True, help="Build on disk [USE_TMPFS=false].")
@click.option("--compat", metavar="VERSION", default="1.1", show_default=True, help="Version of the qcow2 format.")
@click.option("--dry-run", is_flag=True, help="Show the elements and the equal disk-image-create line, and stop.")
@click.option("--progress", type=click.Choice(["auto", "lines", "live", "quiet"]), default="auto", show_default=True,
              help="What to show.")
def build(dry_run: bool, progress: str, **options: Any) -> int:
    """Build the guest image of a database: pydib trove build --datastore redis --distro debian -o redis.qcow2."""
    guest, made = _recipe(options, os.environ)
    if dry_run:
        sys.stdout.write(_described(guest, made, options["compat"]))
        return 0
    from pydib.build import run_build

    before_work(guest, _expanded(made), find_elements(made.elements_path), made.environment, made.arch)
    if options["agent"] != "none" and not guest.has_manager:
        click.echo(f"pydib: note: trove {made.environment['TROVE_VERSION']} has no manager for {guest.datastore} on "
                   f"{guest.distro}: put one into the image (docs/trove.md), or build with --agent none", err=True)
    live = sys.stdout.isatty()
    style = {"auto": "progress" if live else "lines", "live": "progress"}.get(progress, progress)
    code = run_build(made, Wishes(style=style, timestamps=not recipe.truth(os.environ.get("DIB_NO_TIMESTAMP", ""))))
    if code == 0:
        version = made.environment["TROVE_VERSION"]
        registered = Registered(image=made.output("qcow2"), datastore=guest.datastore, distro=guest.distro,
                                release=guest.release, has_manager=guest.has_manager and not guest.contained,
                                is_classic=is_classic(version))
        which = ["--trove-version", version] if registered.is_classic else []
        sys.stdout.write("Try it:\n  " + shlex.join(["pydib", "trove", "boot", "--datastore", guest.datastore, *which,
                                                     str(registered.image)]) + "\n"
                         "Upload it, and tell Trove of it:\n" + "".join(f"  {line}\n" for line in commands(registered)))
    return code


def _recipe(options: dict[str, Any], environment: os._Environ[str]) -> tuple[Guest, Recipe]:
    env = dict(environment)
    if options["elements_path"]:
        env["ELEMENTS_PATH"] = options["elements_path"]
    distro = options["distro"] or env.get("DISTRO") or "debian"
    shelf = _shelf(env)
    guest = choose(shelf, datastore=options["datastore"], distro=distro,
                   release=options["release"] or env.get("RELEASE", ""),
                   contained=bool(options["TROVE_CONTAINER_IMAGES"] or env.get("TROVE_CONTAINER_IMAGES")))
    given = {variable.name: options[variable.name] for variable in VARIABLES}
    full = environment_for(given, env, datastore=guest.datastore, distro=distro, release=guest.release,
                           agent=options["agent"])
    rebuild = options["rebuild"] or recipe.truth(env.get("REBUILD_IMAGE", "").replace("false", "0"))
    on_disk = options["no_tmpfs"] or env.get("USE_TMPFS", "").lower() in ("false", "no", "n")
    made = recipe.from_environment(
        full, elements=guest.elements, image_name=options["output"] or f"{distro}_{guest.datastore}.qcow2",
        arch=options["arch"], compression="zstd", layers=False if rebuild else None,
        tmpfs=False if on_disk else None, arguments=tuple(sys.argv[1:]),
        qemu_img_options=f"compat={options['compat']}")
    return guest, made


def _shelf(environment: dict[str, str]) -> Shelf:
    return find_elements(recipe.from_environment(environment, elements=["x"]).elements_path)


def _expanded(made: Recipe) -> tuple[str, ...]:
    wanted = with_defaults(made.elements, arch=made.arch, base=True)
    return resolve(wanted, find_elements(made.elements_path)).names


def _described(guest: Guest, made: Recipe, compat: str) -> str:
    """The expanded elements, and the same build as a line for disk-image-create."""
    names = _expanded(made)
    variables = [f"export {name}={shlex.quote(made.environment[name])}" for name in
                 ("DIB_RELEASE", "RELEASE", "DISTRO", "SERVICE_TYPE", "TROVE_AGENT", "ESCAPED_PATH_TROVE",
                  "ESCAPED_GUEST_LOGDIR", *(variable.name for variable in VARIABLES))
                 if made.environment.get(name)]
    line = shlex.join(["disk-image-create", *([] if made.tmpfs else ["--no-tmpfs"]), "-a", made.arch, "-o",
                       str(made.output("qcow2")), "-x", "--qemu-img-options", f"compat={compat}", *guest.elements])
    return "".join(f"{name}\n" for name in names) + "\n" + "\n".join([*variables, line]) + "\n"


@command.command("datastores")
def datastores() -> None:
    """List the databases that images can be built for, and on which distributions."""
    rows = dict(offered(_shelf(dict(os.environ))))
    width = max(map(len, rows), default=0)
    sys.stdout.write("".join(f"{name:<{width}}  {' '.join(distros)}\n" for name, distros in rows.items()))


@command.command("boot")
@click.argument("image", type=click.Path(path_type=Path))
@click.option("--datastore", metavar="NAME", help="Database in the image; default the one in its name.")
@click.option("--broker", metavar="URL", default="",
              help="rabbit://USER:PASSWORD@HOST:PORT/; default a RabbitMQ of our own on the loopback address.")
@click.option("--timeout", "timeout_seconds", type=click.FloatRange(min=1), default=300, show_default=True,
              metavar="SECONDS", help="How long to wait for the agent, and then for the database.")
@click.option("--memory", "memory_mib", type=click.IntRange(min=256), default=1024, show_default=True, metavar="MIB",
              help="Memory of the machine.")
@click.option("--cpus", type=click.IntRange(min=1), default=2, show_default=True, metavar="N",
              help="Processors of the machine.")
@click.option("--trove-version", envvar="TROVE_VERSION", default=TROVE_VERSION, show_default=True, metavar="VALUE",
              help="Release of the agent in the image [TROVE_VERSION].")
@click.option("--heartbeats", type=click.IntRange(min=1), default=2, show_default=True, metavar="N",
              help="How many that report the database up to wait for; they come about once a minute.")
@click.option("--console", is_flag=True, help="Show the guest's console.")
def boot(image: Path, datastore: str | None, broker: str, console: bool, **options: Any) -> int:
    """Boot the guest IMAGE in QEMU, and have its agent bring the database up, as Trove would.

    The image is not changed. Exit code 0 when the agent answered and the database is up, 1 otherwise.
    """
    from pydib.trove.proof import prove

    chosen = datastore or _datastore_in(image)
    proof = prove(image, datastore=chosen, broker_url=broker, on_line=click.echo if console else _forget,
                  tell=lambda what, seconds: click.echo(f"{seconds:7.1f} s  {what}"), **options)
    click.echo(f"{image}: the guest agent came after {proof.agent_seconds:.1f} s, {chosen} was up after "
               f"{proof.up_seconds:.1f} s")
    return 0


def _datastore_in(image: Path) -> str:
    from pydib.trove.answers import DATABASES

    found = [name for name in DATABASES if name in image.stem]
    if len(found) != 1:
        raise RecipeError(f"the name of {image} does not say which database is in it",
                          hint=f"say so with --datastore: {', '.join(DATABASES)}")
    return found[0]


def _forget(line: str) -> None:
    """What is done with the console when nobody asked for it."""
