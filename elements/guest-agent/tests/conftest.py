"""A root in which the agent's virtual environment is, as far as scripts use it."""

import shutil
from pathlib import Path

import jinja2
import markupsafe
import pytest

PYTHON = """\
#!/bin/bash
case "$*" in
    *" install "*) echo "$*" >>/tmp/pip-was-called ;;
    "-m compileall "*) echo "${*:3}" >/tmp/compiled ;;
    *get_path*) echo /opt/guest-agent-venv/lib/python3.11/site-packages ;;
    *) PYTHONPATH=/opt/jinja PYTHONDONTWRITEBYTECODE=1 exec python3 "$@" ;;
esac
"""


@pytest.fixture
def venv(fake_root):
    """Its Python knows Jinja2, and writes down how pip is called."""
    fake_root.like("debian-12")
    packages = fake_root.path("/opt/jinja")
    for module in (jinja2, markupsafe):
        place = Path(module.__file__).parent
        shutil.copytree(place, packages / place.name, ignore=shutil.ignore_patterns("__pycache__", "*.so"))
    fake_root.write("/opt/guest-agent-venv/bin/python", PYTHON, mode=0o755)
    return fake_root
