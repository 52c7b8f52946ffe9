"""Handing an image to docker (contract C-234)."""

from __future__ import annotations

from pathlib import Path

from pydib.errors import CommandFailed, ImageError
from pydib.host.command import require_tool, run

IMPORT = 'exec "$1" import - "$2" <"$3"'
"""The archive comes on stdin: a docker in a sandbox of its own (a snap, for one) cannot open our files."""


def import_image(archive: Path, *, name: str) -> None:
    """Make the tar `archive` of a root filesystem the docker image `name` (REPOSITORY[:TAG], docker-import(1)).

    Raises:
        ToolMissing: there is no docker.
        ImageError: docker refused.
    """
    try:
        run("bash", "-c", IMPORT, "docker", require_tool("docker"), name, archive)
    except CommandFailed as error:
        raise ImageError(f"docker did not take the image: {error.output.strip() or error.what}", where=name,
                         hint="`docker info` tells whether its daemon can be reached") from None
