"""Where things lie: the parts that pydib brings, and the caches of its user."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _shipped(name: str) -> Path:
    """A folder that stands at the top of a checkout, and under `_data` in an installed wheel."""
    installed = _PACKAGE / "_data" / name
    return installed if installed.is_dir() else _PACKAGE.parent / name


def elements_dir() -> Path:
    """The folder of our own elements."""
    return _shipped("elements")


def phases_dir() -> Path:
    """The folder of the phase files."""
    return _shipped("phases")


def lib_dir() -> Path:
    """The folder that scripts see as `$_LIB` (C-190)."""
    return _PACKAGE / "lib"


def tools_dir() -> Path:
    """The folder that comes first on the PATH of host scripts: our `sudo` (C-200)."""
    return _PACKAGE / "lib" / "tools"


def tools_without_root_dir() -> Path:
    """The folder that comes next in builds of ordinary users: what is not possible there, done otherwise."""
    return _PACKAGE / "lib" / "tools-without-root"


def home(environment: Mapping[str, str]) -> Path:
    """The caller's home directory."""
    return Path(environment.get("HOME") or os.path.expanduser("~"))


def image_cache(environment: Mapping[str, str]) -> Path:
    """Where elements keep what they download (DIB_IMAGE_CACHE, C-022)."""
    return Path(environment.get("DIB_IMAGE_CACHE") or home(environment) / ".cache" / "image-create")


def lockfiles(environment: Mapping[str, str]) -> Path:
    """Where elements lock (DIB_LOCKFILES, C-025)."""
    return Path(environment.get("DIB_LOCKFILES") or home(environment) / ".cache" / "dib" / "lockfiles")


def temporary(environment: Mapping[str, str]) -> Path:
    """Where build directories are made: $TMPDIR, else $TMP_DIR, else /tmp (C-123)."""
    return Path(environment.get("TMPDIR") or environment.get("TMP_DIR") or "/tmp")


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The directories of one build, named as elements know them (C-123)."""

    build_dir: Path
    image_dir: Path

    @property
    def mount(self) -> Path:
        """TMP_MOUNT_PATH: the target's root until post-root, and the mounted image from pre-finalise on."""
        return self.build_dir / "mnt"

    @property
    def built(self) -> Path:
        """The finished tree while the block device is made."""
        return self.build_dir / "built"

    @property
    def hooks(self) -> Path:
        """TMP_HOOKS_PATH: the merged hook tree."""
        return self.build_dir / "hooks"

    @property
    def block_device_params(self) -> Path:
        """The file that DIB_BLOCK_DEVICE_PARAMS_YAML names (C-206)."""
        return self.build_dir / "block-device" / "params.yaml"
