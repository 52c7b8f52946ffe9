"""Downloads with a checksum."""

import hashlib

import pytest

DIGEST = hashlib.sha256(b"content\n").hexdigest()


@pytest.fixture
def fetch(element, fake_root, tmp_path):
    """Run the tool with a cache-url that copies from tmp_path."""
    fake_root.like("bare")
    under_test = element("cache-url")
    (under_test.hooks / "bin/cache-url").write_text(
        f'#!/bin/bash\necho "cache-url $*"\ncp "{tmp_path}/$(basename "${{@: -2:1}}")" "${{@: -1}}"\n')
    (tmp_path / "image").write_text("content\n")

    def run(sums, *words, **env):
        (tmp_path / "SUMS").write_text(sums)
        return under_test.run_with("bin/cache-checked-url", *(words or (
            "http://a.test/image", str(tmp_path / "kept"), "http://a.test/SUMS")), side="host", env=env)

    return run


@pytest.mark.parametrize("line", ["{} image", "{} *image", "SHA256 (image) = {}"])
def test_every_kind_of_list(fetch, tmp_path, line):
    run = fetch(f"{'0' * 64} other\n{line.format(DIGEST)}\n")
    assert run.ok, run.output
    assert (tmp_path / "kept").read_text() == "content\n" and "-f" not in run.output


@pytest.mark.parametrize("sums", [f"{'1' * 64} image\n", f"{DIGEST} another\n", ""])
def test_a_wrong_one_is_looked_at_twice(fetch, sums):
    run = fetch(sums)
    assert run.exit_code == 1 and "does not have the checksum" in run.output and "cache-url -f " in run.output


def test_without_a_network_what_is_there_is_taken(fetch):
    assert fetch(f"{DIGEST} image\n").ok
    assert "cache-url h" not in fetch(f"{DIGEST} image\n", DIB_OFFLINE="1").output


def test_wrong_calls_are_told(fetch):
    assert "usage:" in fetch("", "one").output
