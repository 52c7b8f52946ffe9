"""`pydib lint`: what is wrong with elements, found by reading them."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from pydib.element.lint import RULES, Finding, elements_below, globally_ignored, lint, scripts_for_shellcheck
from pydib.host.command import find_tool, run


@click.command()
@click.argument("folders", nargs=-1, type=click.Path(path_type=Path), metavar="DIR...")
@click.option("--rules", is_flag=True, help="List the rules, and end.")
@click.option("--no-shellcheck", is_flag=True, help="Check only what dib-lint checks.")
def command(folders: tuple[Path, ...], rules: bool, no_shellcheck: bool) -> int:
    """Check the elements in DIRs (each an element, or a folder of elements): what dib-lint checks, and shellcheck.

    Ends with 1 if there is something to correct. A file leaves rules out with a line `# dib-lint: disable=RULE ...`.
    """
    if rules:
        sys.stdout.writelines(f"{name:<14} {text}\n" for name, text in RULES.items())
        return 0
    elements = [element for folder in folders or (Path(),) for element in elements_below(folder)]
    ignored = globally_ignored(Path())
    found = [finding for element in elements for finding in lint(element, ignored=ignored)]
    if not no_shellcheck:
        found += _shellcheck([script for element in elements for script in scripts_for_shellcheck(element)])
    for finding in sorted(found, key=lambda one: (str(one.path), one.line)):
        sys.stdout.write(f"{finding}\n")
    sys.stdout.write(f"{len(elements)} elements, {len(found)} findings\n")
    return 1 if found else 0


def _shellcheck(scripts: Sequence[Path]) -> list[Finding]:
    if not scripts:
        return []
    if find_tool("shellcheck") is None:
        sys.stderr.write("pydib lint: shellcheck is not installed, so scripts were not checked by it; "
                         "install it: apt-get install shellcheck\n")
        return []
    told = run("shellcheck", "--format=json1", "--shell=bash", "--exclude=SC1091",
               "--external-sources", "--", *scripts, accept=(0, 1))
    return [Finding(path=Path(one["file"]), line=one["line"], rule=f"SC{one['code']}", message=one["message"])
            for one in json.loads(told)["comments"]]
