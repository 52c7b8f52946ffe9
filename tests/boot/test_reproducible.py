"""`debian-minimal vm` twice: by root, and by an ordinary user elsewhere, later, with another locale and umask. The raw
and qcow2 images are the same to the bit."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.machine.test_reproducible import build
from tests.ordinary_user import ordinary_user

pytestmark = pytest.mark.skipif(not os.environ.get("PYDIB_BOOT_ALL"), reason="long: `make test-boot-all` runs it")
WORDS = ("-t", "raw,qcow2", "debian-minimal", "vm")
RELEASE = {"DIB_RELEASE": "bookworm"}


def test_debian_of_root_and_of_a_user_is_the_same(tmp_path: Path) -> None:
    usual = build(tmp_path, "--no-cache", *WORDS, env=RELEASE)
    with ordinary_user() as user:
        assert build(user.home, *WORDS, env={**RELEASE, "LANG": "de_DE.UTF-8", "TZ": "Asia/Tokyo"}, user=user,
                     umask=0o077) == usual
        assert build(user.home, *WORDS, env=RELEASE, user=user) == usual, "handed out again"
