"""Secrets in whole builds: scripts have them; logs, events and the image do not."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.machine.conftest import Builder

pytestmark = pytest.mark.machine

VALUE = "correct horse 'battery' $taple"


def _files_with_it(folder: Path) -> list[str]:
    parts = [VALUE.encode(), b"correct horse"]
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path.name for path in files if any(part in path.read_bytes() for part in parts)]


def test_scripts_get_a_secret_but_no_line_event_manifest_or_image_does(builder: Builder) -> None:
    builder.script("asks", "install.d/50-asks", """#!/bin/bash
set -eux
test "$DIB_PASSWORD" = "$EXPECTED" && echo "the password is $DIB_PASSWORD"
echo "$DIB_PASSWORD" >&2; printf '%s' "$DIB_PASSWORD"; printf '%q\\n' "$DIB_PASSWORD"
echo "$DIB_ENV" > /dib-env; echo "$DIB_ARGS" > /dib-args
""")
    builder.script("asks", "environment.d/50-asks.bash", "export ASKED=\"$DIB_PASSWORD\"\n", mode=0o644)
    argv = [*builder.argv()[:1], "-c", "from pydib.cli.main import run; run()", "build", "--no-base", "-t", "raw,tar",
            "-o", str(builder.out / "disk"), "--secret", "DIB_PASSWORD", "--logfile", str(builder.out / "log"),
            "--events", str(builder.out / "events"), "tiny-os", "asks"]
    env = {**builder.environment, "DIB_PASSWORD": VALUE, "EXPECTED": VALUE, "DIB_URL": f"https://me:{VALUE}@host"}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the password is ***" in done.stdout
    assert "correct horse" not in done.stdout + done.stderr
    assert _files_with_it(builder.out) == []
    shown = subprocess.run(["tar", "-xOf", builder.out / "disk.tar", "./dib-env", "./dib-args"], capture_output=True,
                           text=True, check=True).stdout
    assert 'declare -x DIB_PASSWORD="***"' in shown
    assert 'declare -x DIB_URL="https://me:***@host"' in shown


def test_the_last_lines_of_a_failing_script_are_masked_too(builder: Builder) -> None:
    builder.script("asks", "install.d/50-asks", '#!/bin/bash\necho "wrong: $TOKEN" >&2\nexit 9\n')
    argv = [*builder.argv()[:1], "-c", "from pydib.cli.main import run; run()", "build", "--no-base", "-o",
            str(builder.out / "disk"), "--progress", "quiet", "--secret", "TOKEN", "tiny-os", "asks"]
    env = {**builder.environment, "TOKEN": VALUE}
    done = subprocess.run(argv, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 9
    assert "wrong: ***" in done.stderr
    assert "correct horse" not in done.stderr


def test_a_command_at_a_break_point_shows_no_secret_to_a_log(builder: Builder) -> None:
    builder.script("fails", "post-root.d/50-fails", "#!/bin/bash\nexit 9\n")
    for point, command in (("before-install", "printenv TOKEN"), ("before-post-root", "printenv TOKEN"),
                           ("after-error", 'echo "it is $TOKEN"; echo "$TOKEN" >&2')):
        done = builder.run("--secret", "TOKEN", "tiny-os", "fails", TOKEN=VALUE,
                           **{"break": point, "break_cmd": command})
        assert done.returncode == 9
        assert "correct horse" not in done.stdout
    assert "it is ***" in done.stdout.splitlines()


def test_an_image_that_holds_a_secret_is_refused(builder: Builder) -> None:
    builder.script("leaks", "install.d/50-leaks", '#!/bin/bash\necho "password=$TOKEN" > /etc/app.conf\n')
    done = builder.run("-t", "tar", "--secret", "TOKEN", "tiny-os", "leaks", TOKEN=VALUE)
    assert done.returncode == 1
    assert "the value of a secret (TOKEN) is in the image" in done.stdout
    assert "/etc/app.conf" in done.stdout
    assert builder.left() == []


def test_nothing_of_a_secret_is_left_in_the_cache(builder: Builder) -> None:
    """Neither in what is written down of an environment, nor in a layer, though a later script removes it."""
    builder.script("asks", "environment.d/50-asks.bash", 'export ASKED="$TOKEN"\n', mode=0o644)
    builder.script("asks", "install.d/40-before", "#!/bin/bash\necho before >/etc/before\n")
    builder.script("asks", "install.d/50-writes", '#!/bin/bash\necho "password=$ASKED" >/etc/app.conf\n')
    builder.script("asks", "install.d/60-uses", "#!/bin/bash\ngrep -c password /etc/app.conf >/etc/used\n"
                                                "rm /etc/app.conf\n")
    for _ in range(2):
        done = builder.run("-t", "tar", "--secret", "TOKEN", "tiny-os", "asks", TOKEN=VALUE,
                           DIB_URL=f"https://me:{VALUE}@host")
        assert done.returncode == 0, done.stdout
        assert "no more layers are kept in this build: /etc/app.conf holds a secret" in done.stdout
        names = subprocess.run(["tar", "-tf", builder.out / "disk.tar"], capture_output=True, text=True, check=True)
        assert {"./etc/before", "./etc/used"} <= set(names.stdout.split())
        assert "./etc/app.conf" not in names.stdout.split()
    assert "Cached install.d/40-before" in done.stdout
    assert list((builder.out.parent / "home").rglob("layers/facts/*")) != []
    assert _files_with_it(builder.out.parent / "home") == []
