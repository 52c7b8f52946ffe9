"""What an output needs, asked before the build makes anything (contract C-018)."""

from __future__ import annotations

import difflib
from pathlib import Path

from pydib.errors import CommandFailed, ImageError, RecipeError
from pydib.host.command import find_tool, require_tool, run
from pydib.recipe import Recipe

TOOLS: dict[str, tuple[str, ...]] = {
    "raw": (), "tar": ("tar",), "tgz": ("tar",), "aci": ("tar",), "docker": ("tar", "docker"),
    "squashfs": ("mksquashfs",),
}
"""The programs behind each output; every other one is made by qemu-img (C-017)."""

LIST_OF_FORMATS = "Supported formats:"


def check_output(recipe: Recipe, kind: str) -> None:
    """Refuse an output of type `kind` that could not be made or published in the end.

    Raises:
        ToolMissing: a program is not installed.
        RecipeError: an option is missing, or qemu-img does not know the format.
        ImageError: something that is no file has the output's name.
    """
    for tool in _tools(recipe, kind):
        require_tool(tool, why=f"it makes {kind} outputs")
    if kind == "docker":
        _check_docker(recipe.docker_target)
        return
    if kind == "aci":
        aci_manifest(recipe)
    if kind not in (*TOOLS, "qcow2", "vhd"):
        _check_format(kind)
    final = recipe.output(kind)
    if final.is_dir():
        raise ImageError("a directory has the name of an output", where=str(final),
                         hint="move it away, or choose another name with -o")


def aci_manifest(recipe: Recipe) -> Path | None:
    """The image manifest that ACI_MANIFEST names, relative to the caller's directory; None when it names none.

    Raises:
        RecipeError: there is no such file.
    """
    given = recipe.environment.get("ACI_MANIFEST", "")
    if not given:
        return None
    path = recipe.cwd / given
    if not path.is_file():
        raise RecipeError("the image manifest is not there", where=f"ACI_MANIFEST={given}",
                          hint="name an existing file, or leave ACI_MANIFEST unset")
    return path


def gzip_program(recipe: Recipe) -> str:
    """The program, and its options, that compress a tgz (C-026, C-231)."""
    return recipe.environment.get("DIB_GZIP_BIN") or "gzip"


def _tools(recipe: Recipe, kind: str) -> tuple[str, ...]:
    if kind == "tgz":
        return (*TOOLS[kind], *gzip_program(recipe).split()[:1])
    if kind == "vhd" and find_tool("vhd-util") is not None:
        return ("vhd-util",)
    return TOOLS.get(kind, ("qemu-img",))


def _check_docker(name: str) -> None:
    if not name or name.startswith("-"):
        raise RecipeError(f"{name!r} is no name for a docker image" if name else "-t docker has no name for its image",
                          hint="give one: --docker-target REPOSITORY[:TAG]")


def _check_format(kind: str) -> None:
    """Ask qemu-img whether it knows the format; if it does not tell, the conversion will."""
    try:
        formats = run("qemu-img", "--help").partition(LIST_OF_FORMATS)[2].partition("\n")[0].split()
    except CommandFailed:
        return
    if formats and kind not in formats:
        near = difflib.get_close_matches(kind, [*TOOLS, "vhd", *formats], n=1)
        raise RecipeError(f"{kind!r} is no image type", where=f"-t {kind}",
                          hint=f"did you mean {near[0]}?" if near else "`qemu-img --help` lists its formats")
