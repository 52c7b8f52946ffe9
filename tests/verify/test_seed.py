"""What a machine is told: config drives and NoCloud."""

from __future__ import annotations

import base64
import email
import json
import subprocess
from pathlib import Path

import pytest
import yaml

from pydib.errors import RecipeError
from pydib.host.command import find_tool
from pydib.verify.drives import empty_volume, seed_drive
from pydib.verify.seed import Seed, contents

FILES = {"/etc/b.conf": b"two\n", "/etc/a.conf": b"\x00one"}


def test_a_config_drive_names_its_files_as_nova_does() -> None:
    made = contents("config-drive", Seed(uuid="u-1", hostname="h", files=FILES, public_keys={"k": "ssh-x AAA"}))
    meta = json.loads(made["openstack/latest/meta_data.json"])
    assert (meta["uuid"], meta["hostname"], meta["public_keys"]) == ("u-1", "h", {"k": "ssh-x AAA"})
    written = {entry["path"]: made["openstack" + entry["content_path"]] for entry in meta["files"]}
    assert written == FILES
    assert "openstack/latest/user_data" not in made


def test_user_data_and_network_data_have_files_of_their_own() -> None:
    made = contents("config-drive", Seed(uuid="u", user_data="#!/bin/sh\n", network_data={"links": []}))
    assert made["openstack/latest/user_data"] == b"#!/bin/sh\n"
    assert json.loads(made["openstack/latest/network_data.json"]) == {"links": []}
    assert "files" not in json.loads(made["openstack/latest/meta_data.json"])


def test_nocloud_writes_files_through_user_data() -> None:
    made = contents("nocloud", Seed(uuid="u", hostname="h", files=FILES, network_data={"version": 2}))
    assert yaml.safe_load(made["meta-data"]) == {"instance-id": "u", "local-hostname": "h"}
    assert yaml.safe_load(made["network-config"]) == {"version": 2}
    assert made["user-data"].startswith(b"#cloud-config\n")
    entries = yaml.safe_load(made["user-data"])["write_files"]
    assert {entry["path"]: base64.b64decode(entry["content"]) for entry in entries} == FILES


def test_nocloud_keeps_the_users_own_data_beside_the_files() -> None:
    made = contents("nocloud", Seed(uuid="u", files=FILES, user_data="#!/bin/sh\necho hi\n"))
    parts = email.message_from_bytes(made["user-data"]).get_payload()
    texts = [part.get_payload(decode=True).decode() for part in parts]  # type: ignore[union-attr]
    assert texts[0].startswith("#cloud-config\n") and texts[1] == "#!/bin/sh\necho hi\n"


def test_nocloud_without_anything_is_still_complete() -> None:
    made = contents("nocloud", Seed(uuid="u", public_keys={"k": "ssh-x AAA"}))
    assert set(made) == {"meta-data", "user-data"}
    assert yaml.safe_load(made["meta-data"])["public-keys"] == ["ssh-x AAA"]


@pytest.mark.parametrize("path", ["etc/x", "/etc/../x", "/etc/", ""])
def test_a_path_that_is_no_place_for_a_file_is_refused(path: str) -> None:
    with pytest.raises(RecipeError, match="no place for a file"):
        Seed(uuid="u", files={path: b""})


@pytest.mark.skipif(not (find_tool("mkfs.vfat") and find_tool("mcopy")), reason="dosfstools or mtools is not installed")
@pytest.mark.parametrize(("kind", "label", "file"), [
    ("config-drive", "config-2", "openstack/content/0001"), ("nocloud", "CIDATA", "user-data")])
def test_the_drive_has_its_label_and_its_files(tmp_path: Path, kind: str, label: str, file: str) -> None:
    drive = seed_drive(kind, Seed(uuid="u", files=FILES), tmp_path)  # type: ignore[arg-type]
    told = subprocess.run(["blkid", "-p", "-o", "export", drive.path], text=True, capture_output=True, check=True)
    assert f"LABEL={label}\n" in told.stdout and "TYPE=vfat\n" in told.stdout
    read = subprocess.run(["mcopy", "-i", drive.path, f"::{file}", "-"], capture_output=True, check=True)
    assert read.stdout == contents(kind, Seed(uuid="u", files=FILES))[file]  # type: ignore[arg-type]


def test_an_empty_volume_takes_no_space(tmp_path: Path) -> None:
    drive = empty_volume(0, 1 << 30, tmp_path)
    assert drive.path.stat().st_size == 1 << 30 and drive.path.stat().st_blocks == 0
    with pytest.raises(RecipeError, match="too small"):
        empty_volume(0, 5, tmp_path)
