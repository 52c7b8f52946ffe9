"""What a cloud tells a new machine: the contents of a config drive as Nova makes it, or of cloud-init's NoCloud. Pure.

Rules: OpenStack's "Metadata service" (config drive format), cloud-init's pages on ConfigDrive and NoCloud.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.mime.multipart import MIMEMultipart
from email.mime.text import MIMEText
from pathlib import PurePosixPath
from typing import Literal

from pydib.errors import RecipeError

Kind = Literal["config-drive", "nocloud"]
LABELS: Mapping[Kind, str] = {"config-drive": "config-2", "nocloud": "CIDATA"}
"""The labels of the filesystem by which cloud-init finds each."""


@dataclass(frozen=True, kw_only=True)
class Seed:
    """What the machine is told.

    Args:
        uuid: the instance's; a new one makes cloud-init do its first-boot work again.
        hostname: its name.
        files: absolute paths in the machine, and what is to be written there. ConfigDrive writes them before there is a
            network, with mode 0660, owned by root; for NoCloud they become `write_files` of the user data, mode 0600.
        user_data: a script, cloud-config, or anything else that cloud-init knows by its first line.
        network_data: OpenStack's `network_data.json` as an object; for NoCloud, a network-config of version 1 or 2.
        public_keys: for the cloud's default user, by name.
    """

    uuid: str
    hostname: str = "pydib-guest"
    files: Mapping[str, bytes] = field(default_factory=dict)
    user_data: str = ""
    network_data: Mapping[str, object] | None = None
    public_keys: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for path in self.files:
            if not path.startswith("/") or ".." in PurePosixPath(path).parts or path.endswith("/"):
                raise RecipeError(f"{path!r} is no place for a file in the machine", where="--inject",
                                  hint="use an absolute path, for example --inject /etc/app/app.conf=app.conf")


def contents(kind: Kind, seed: Seed) -> dict[str, bytes]:
    """The files of the drive, by their path on it."""
    return _config_drive(seed) if kind == "config-drive" else _nocloud(seed)


def _config_drive(seed: Seed) -> dict[str, bytes]:
    injected = dict(sorted(seed.files.items()))
    meta: dict[str, object] = {
        "uuid": seed.uuid, "name": seed.hostname, "hostname": seed.hostname, "launch_index": 0,
        "availability_zone": "nova", "public_keys": dict(seed.public_keys),
    }
    if injected:
        meta["files"] = [{"path": path, "content_path": f"/content/{number:04}"}
                         for number, path in enumerate(injected)]
    made = {"openstack/latest/meta_data.json": _json(meta)}
    made |= {f"openstack/content/{number:04}": data for number, data in enumerate(injected.values())}
    if seed.user_data:
        made["openstack/latest/user_data"] = seed.user_data.encode()
    if seed.network_data is not None:
        made["openstack/latest/network_data.json"] = _json(seed.network_data)
    return made


def _nocloud(seed: Seed) -> dict[str, bytes]:
    meta: dict[str, object] = {"instance-id": seed.uuid, "local-hostname": seed.hostname}
    if seed.public_keys:
        meta["public-keys"] = list(seed.public_keys.values())
    made = {"meta-data": _json(meta), "user-data": _with_files(seed).encode()}  # JSON is YAML, too
    if seed.network_data is not None:
        made["network-config"] = _json(seed.network_data)
    return made


def _with_files(seed: Seed) -> str:
    """User data that writes the files as well; two kinds of data travel as parts of one MIME message."""
    if not seed.files:
        return seed.user_data or "#cloud-config\n{}\n"
    entries = [{"path": path, "encoding": "b64", "content": base64.b64encode(data).decode(), "permissions": "0600"}
               for path, data in sorted(seed.files.items())]
    config = "#cloud-config\n" + json.dumps({"write_files": entries}, indent=1) + "\n"
    if not seed.user_data:
        return config
    message = MIMEMultipart()
    for text in (config, seed.user_data):
        message.attach(MIMEText(text, "plain", "utf-8"))
    return message.as_string()


def _json(value: object) -> bytes:
    return json.dumps(value, indent=1).encode() + b"\n"
