"""`pydib doctor`: what this machine can do, what is missing, and the command that installs it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pydib.verify.machine import Finding


@click.command()
@click.option("--json", "as_json", is_flag=True, help="The findings as JSON.")
def command(as_json: bool) -> int:
    """Say what this machine can do, what is missing, and the command that installs it.

    Exit code 1 when something is missing that every build needs.
    """
    from pydib.verify.machine import examine

    findings = examine()
    click.echo(json.dumps([asdict(finding) for finding in findings], indent=2) if as_json else as_text(findings),
               nl=as_json)
    return int(any(finding.required and not finding.ok for finding in findings))


def as_text(findings: Sequence[Finding]) -> str:
    """The findings for people: what is there first, then what is missing, with its remedy."""
    from pydib.template import render

    missing = sorted((finding for finding in findings if not finding.ok), key=lambda finding: not finding.required)
    return render("findings.txt", there=[finding for finding in findings if finding.ok], missing=missing)
