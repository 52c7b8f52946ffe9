"""What a build writes down about its disk, for scripts that ask `dib-block-device.py` (contract C-206 to C-209, C-223).

    record(layout.block_device_params, graph, ...)              when the build begins; again when the size is known
    write_state(state_dir(build_dir), graph, disk, ...)         when the disk is made
    forget(state_dir(build_dir))                                when it is released
    answer("root-label", read_params(path))                     what getval prints

Two sorts of files: the parameters (YAML), and the state directory `states/block-device` of the build directory with
`config.json` (the configuration, one map a node), `state.json` (devices, filesystems, mounts) and `fstab`.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import singledispatch
from pathlib import Path

import yaml

from pydib import blockdev
from pydib.blockdev.create.assemble import AssembledDisk
from pydib.blockdev.filesystem import ROOT_NODE, RootDefaults, mkfs_options
from pydib.blockdev.graph import MAIN_IMAGE, NO_MOUNT_POINT, Graph
from pydib.blockdev.nodes import (
    Fstab,
    LocalLoop,
    LogicalVolume,
    Mkfs,
    Mount,
    Node,
    Partition,
    Partitioning,
    PhysicalVolume,
    VolumeGroup,
)
from pydib.errors import BlockDeviceError, CommandFailed, EngineError, RecipeError, ToolMissing
from pydib.host.command import run
from pydib.sizes import KIB, parse_size

CONFIG, STATE, FSTAB = "config.json", "state.json", "fstab"
NO_STATE = "State dump not found"
BEFORE = ("root-label", "root-fstype", "boot-label", "mount-points")
"""What can be asked before the disk exists."""
AFTER = ("image-path", "image-block-device", "image-block-devices")
"""What can be asked once it does."""

State = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Params:
    """The parameters of a block device (C-206).

    Args:
        config: the file with the configuration; one that does not exist stands for the built-in configuration.
        image_dir: where images go.
        build_dir: the build directory; the state lies below it, and the tree that gets an fstab in `built`.
        mount_base: where filesystems are mounted.
        root_fs_type, root_label: of the root filesystem, where the configuration does not say; empty: the default.
        root_fs_opts: all words for mkfs of the root filesystem; None: as a build chooses them (C-225).
        image_size_kib: size of images that have none of their own; None: not known yet.
        tree_mode: the disk is made from the tree when all scripts have run, so it can be asked for nothing.
    """

    config: Path
    image_dir: Path
    build_dir: Path
    mount_base: Path
    root_fs_type: str = ""
    root_label: str = ""
    root_fs_opts: tuple[str, ...] | None = None
    image_size_kib: int | None = None
    tree_mode: bool = False


def state_dir(build_dir: Path) -> Path:
    """The directory of the state in a build directory (C-223)."""
    return build_dir / "states" / "block-device"


# --- parameters -------------------------------------------------------------------------------------------------


def record(path: Path, graph: Graph, *, build_dir: Path, image_dir: Path, mount_base: Path,
           size_bytes: int = 0, tree_mode: bool = False) -> None:
    """Write the parameters of a build, its configuration beside them, and config.json (C-123, C-206, C-223).

    Args:
        path: the file for the parameters.
        size_bytes: of images that have no size of their own; 0: not known yet.
        tree_mode: whether the disk is made without a block device.
    """
    params = Params(
        config=path.with_name("config.yaml"), image_dir=image_dir, build_dir=build_dir, mount_base=mount_base,
        root_fs_type=graph.answers.root_fstype, root_label=graph.answers.root_label,
        image_size_kib=size_bytes // KIB or None, tree_mode=tree_mode,
        root_fs_opts=_root_options(graph, size_bytes) if size_bytes else None)
    write_params(path, params)
    params.config.write_text(yaml.safe_dump(config_of(graph), sort_keys=False), encoding="utf-8")
    write_config(state_dir(build_dir), graph)


def _root_options(graph: Graph, size_bytes: int) -> tuple[str, ...] | None:
    roots = [node for node in graph.of(Mkfs) if node.name == ROOT_NODE]
    return mkfs_options(roots[0], graph.root, size_bytes) if roots else None


def write_params(path: Path, params: Params) -> None:
    """Write the parameters as YAML. Text is quoted where YAML would read it as something else, as `no` or `a: b`.

    Raises:
        OSError: the file cannot be written.
    """
    values: dict[str, str] = {
        "config": str(params.config), "image-dir": str(params.image_dir), "root-fs-type": params.root_fs_type,
        "root-label": params.root_label, "mount-base": str(params.mount_base), "build-dir": str(params.build_dir),
    }
    if params.image_size_kib is not None:
        values["image-size"] = f"{params.image_size_kib}KiB"
    if params.tree_mode:
        values["assemble"] = "tree"
    if params.root_fs_opts is not None:
        values["root-fs-opts"] = shlex.join(params.root_fs_opts)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=10_000), encoding="utf-8")


def read_params(path: Path) -> Params:
    """Read parameters, also such as DIB or a script wrote.

    Raises:
        RecipeError: no such file, no YAML, a key that is missing.
    """
    values = _yaml_map(path)
    missing = [key for key in ("config", "image-dir", "build-dir", "mount-base") if not values.get(key)]
    if missing:
        raise RecipeError(f"the block-device parameters have no {missing[0]!r}", where=str(path),
                          hint=f"add a line '{missing[0]}: ...'")
    text = {key: "" if value is None else str(value) for key, value in values.items()}
    return Params(
        config=Path(text["config"]), image_dir=Path(text["image-dir"]), build_dir=Path(text["build-dir"]),
        mount_base=Path(text["mount-base"]), root_fs_type=text.get("root-fs-type", ""),
        root_label=text.get("root-label", ""), root_fs_opts=_words(text.get("root-fs-opts"), path),
        image_size_kib=parse_size(text["image-size"]) // KIB if text.get("image-size") else None,
        tree_mode=text.get("assemble") == "tree")


def _yaml_map(path: Path) -> Mapping[str, object]:
    """A YAML file's map, every value as the text that was written."""
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    except OSError as problem:
        raise RecipeError(f"the block-device parameters cannot be read: {problem.strerror}", where=str(path),
                          hint="give --params FILE, or set DIB_BLOCK_DEVICE_PARAMS_YAML to the path of one") from None
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        line = getattr(getattr(problem, "problem_mark", None), "line", None)
        at = f"{path}, line {line + 1}" if line is not None else str(path)
        raise RecipeError("the block-device parameters are not YAML", where=at,
                          hint="put values with ':' or '#' in quotes") from None
    if not isinstance(values, Mapping):
        raise RecipeError("the block-device parameters are not a map", where=str(path),
                          hint="write lines such as 'image-dir: /path'")
    return values


def _words(text: str | None, path: Path) -> tuple[str, ...] | None:
    if text is None:
        return None
    try:
        return tuple(shlex.split(text))
    except ValueError as problem:
        raise RecipeError(f"root-fs-opts cannot be split into words: {problem}", where=str(path),
                          hint="close the quote") from None


# --- the configuration ------------------------------------------------------------------------------------------


def load_graph(params: Params) -> Graph:
    """The graph that the parameters describe: of the state directory when `init` was there, else of the configuration.

    Raises:
        BlockDeviceConfigError: the configuration is wrong.
        RecipeError: it cannot be read.
    """
    written = state_dir(params.build_dir) / CONFIG
    root = RootDefaults(fs_type=params.root_fs_type or "ext4", label=params.root_label)
    place = written if written.is_file() else params.config
    graph = blockdev.load(_text(place), root=root, where=str(place))
    if params.root_fs_opts is None:
        return graph
    return _with_root_options(graph, params.root_fs_opts)


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as problem:
        raise RecipeError(f"the block-device configuration cannot be read: {problem}", where=str(path),
                          hint="check the path in the parameters, and its permissions") from None


def _with_root_options(graph: Graph, options: tuple[str, ...]) -> Graph:
    """The root filesystem with just these options, unless the configuration names its own (C-213)."""
    def given(node: Node) -> Node:
        if isinstance(node, Mkfs) and node.name == ROOT_NODE and node.options is None:
            return replace(node, options=options)
        return node

    return replace(graph, nodes=tuple(map(given, graph.nodes)), order=tuple(map(given, graph.order)))


def write_config(directory: Path, graph: Graph) -> Path:
    """Write the completed configuration as config.json: a list of maps with one key each (C-211, C-223)."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / CONFIG
    path.write_text(json.dumps(config_of(graph)), encoding="utf-8")
    return path


def config_of(graph: Graph) -> list[dict[str, dict[str, object]]]:
    """The nodes of `graph` as a configuration that gives the same graph when it is loaded."""
    found: list[dict[str, dict[str, object]]] = []
    for node in graph.nodes:
        module, values = _written(node)
        if module:
            found.append({module: {key: value for key, value in values.items() if value not in (None, "")}})
    volumes = _volumes(graph)
    return [*found, {"lvm": volumes}] if volumes else found


@singledispatch
def _written(node: Node) -> tuple[str, dict[str, object]]:
    """The module and the keys of a node; volumes and partitions are written with what they belong to."""
    return "", {}


@_written.register
def _(node: LocalLoop) -> tuple[str, dict[str, object]]:
    size = f"{node.size_bytes}B" if node.size_bytes else None
    return "local_loop", {"name": node.name, "size": size, "directory": str(node.directory or ""),
                          "block_size": node.sector_bytes}


@_written.register
def _(node: Partitioning) -> tuple[str, dict[str, object]]:
    return "partitioning", {"name": node.name.removeprefix("table "), "base": node.base, "label": node.label,
                            "align": f"{node.align_bytes}B", "partitions": [_partition(one) for one in node.partitions]}


def _partition(node: Partition) -> dict[str, object]:
    flags = [name for name, wanted in (("boot", node.bootable), ("primary", node.primary)) if wanted]
    return {"name": node.name, "size": node.size, "type": node.type, **({"flags": flags} if flags else {})}


@_written.register
def _(node: Mkfs) -> tuple[str, dict[str, object]]:
    return "mkfs", {"name": node.name, "base": node.base, "type": node.type, "label": node.label, "uuid": node.uuid,
                    "opts": None if node.options is None else list(node.options)}


@_written.register
def _(node: Mount) -> tuple[str, dict[str, object]]:
    return "mount", {"name": node.name, "base": node.base, "mount_point": node.mount_point}


@_written.register
def _(node: Fstab) -> tuple[str, dict[str, object]]:
    return "fstab", {"name": node.name, "base": node.base, "options": node.options, "dump-freq": node.dump_freq,
                     "fsck-passno": node.fsck_passno}


def _volumes(graph: Graph) -> dict[str, object]:
    """All volumes as one `lvm` module (C-219)."""
    physical = [{"name": one.name, "base": one.base, "options": list(one.options)} for one in graph.of(PhysicalVolume)]
    if not physical:
        return {}
    groups = [{"name": one.name, "base": list(one.bases), "options": list(one.options)}
              for one in graph.of(VolumeGroup)]
    return {"name": "lvm", "base": [one["base"] for one in physical], "pvs": physical, "vgs": groups,
            "lvs": [_logical_volume(one) for one in graph.of(LogicalVolume)]}


def _logical_volume(node: LogicalVolume) -> dict[str, object]:
    values: dict[str, object] = {
        "name": node.name, "base": node.base, "extents": node.extents, "thin-pool": node.thin_pool,
        "size": "" if node.size_bytes is None else f"{node.size_bytes}B",
        "type": "" if node.kind == "linear" else node.kind}
    return {**{key: value for key, value in values.items() if value}, "options": list(node.options)}


# --- the state --------------------------------------------------------------------------------------------------


def probe_uuid(device: str) -> str:
    """The UUID of the filesystem on `device` as blkid(8) reads it; empty when it has none."""
    try:
        return run("blkid", "--probe", "--match-tag", "UUID", "--output", "value", device).strip()
    except (CommandFailed, ToolMissing):
        return ""


def write_state(directory: Path, graph: Graph, disk: AssembledDisk, *, mount_base: Path, made_by: str = "build",
                uuid_of: Callable[[str], str] = probe_uuid) -> None:
    """Write config.json, state.json and fstab for a disk that is made and mounted (C-223).

    Args:
        directory: from `state_dir`.
        mount_base: where its filesystems are mounted.
        made_by: `build` for the disk of a build, which only the build itself may take down; else `script`.
        uuid_of: gives the UUID of the filesystem on a device.
    """
    write_config(directory, graph)
    state = {"made_by": made_by, **_state_of(graph, disk, mount_base, uuid_of)}
    (directory / FSTAB).write_text(disk.fstab, encoding="utf-8")
    (directory / STATE).write_text(json.dumps(state), encoding="utf-8")


def _state_of(graph: Graph, disk: AssembledDisk, mount_base: Path, uuid_of: Callable[[str], str]) -> dict[str, object]:
    devices = disk.image_block_devices
    mounts = [found for found in graph.filesystems() if found.filesystem.type != "swap"]
    return {
        "blockdev": {name: _device(device, disk.images.get(name)) for name, device in devices.items()},
        "fs_labels": [made.label for made in graph.of(Mkfs)],
        "sorted_mount_points": [[found.mount.mount_point, found.mount.name] for found in mounts],
        "filesys": {made.name: {
            "uuid": made.uuid or uuid_of(devices[made.base]), "label": made.label, "fstype": made.type,
            "opts": list(made.options or ()), "device": devices[made.base]} for made in graph.of(Mkfs)},
        "mount": {found.mount.mount_point: {
            "name": found.mount.name, "base": found.mount.base, "path": f"{mount_base}{found.mount.mount_point}"}
            for found in mounts},
        "mount_order": [found.mount.mount_point if found.filesystem.type != "swap" else NO_MOUNT_POINT
                        for found in graph.filesystems()],
        "fstab": {line.base: {
            "name": line.name, "base": line.base, "options": line.options, "dump-freq": line.dump_freq,
            "fsck-passno": line.fsck_passno} for line in graph.of(Fstab)},
    }


def _device(device: str, image: Path | None) -> dict[str, str]:
    return {"device": device, **({"image": str(image)} if image else {})}


def read_state(directory: Path) -> State | None:
    """The state, or None when there is no disk.

    Raises:
        EngineError: the file is not what `write_state` writes.
    """
    path = directory / STATE
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as problem:
        raise EngineError(f"the state of the block device cannot be read: {problem}", where=str(path),
                          hint="remove it when no disk of that build is in use") from None
    if not isinstance(found, dict) or not isinstance(found.get("blockdev"), dict):
        raise EngineError("the state of the block device is not a map of devices", where=str(path),
                          hint="remove it when no disk of that build is in use")
    return found


def forget(directory: Path) -> None:
    """Remove the files of the state; such as are not there are fine."""
    for name in (STATE, CONFIG, FSTAB):
        with suppress(FileNotFoundError):
            (directory / name).unlink()


# --- questions --------------------------------------------------------------------------------------------------


def answer(symbol: str, params: Params) -> str | None:
    """What `getval SYMBOL` prints (C-208). None: a disk exists, and there is no such symbol (C-209).

    Raises:
        BlockDeviceError: the answer, or any answer of that name, needs a disk and there is none.
        BlockDeviceConfigError, RecipeError: the configuration is wrong.
    """
    if symbol in BEFORE:
        return _answer_before(symbol, load_graph(params))
    state = read_state(state_dir(params.build_dir))
    if state is None:
        raise BlockDeviceError(NO_STATE, where=f"getval {symbol}", hint=_hint(symbol, params.tree_mode))
    return _answer_after(symbol, devices_of(state)) if symbol in AFTER else None


def _hint(symbol: str, tree_mode: bool) -> str:
    if symbol in AFTER and tree_mode:
        return ("in tree mode there is no block device: the disk is made from the tree when all scripts have run. "
                "Build with --assemble device, or let a script in image-file.d change the disk's file, IMAGE_FILE")
    if symbol in AFTER:
        return "the disk is made after the phase block-device; ask from pre-finalise on"
    return f"there is no such symbol; known are {', '.join((*BEFORE, *AFTER))}"


def _answer_before(symbol: str, graph: Graph) -> str:
    answers = graph.answers
    return {"root-label": answers.root_label, "root-fstype": answers.root_fstype, "boot-label": answers.boot_label,
            "mount-points": "|".join(answers.mount_points)}[symbol]


def _answer_after(symbol: str, devices: Mapping[str, Mapping[str, str]]) -> str:
    main = devices.get(MAIN_IMAGE) or next(iter(devices.values()))
    if symbol == "image-block-devices":
        return shown_devices((name, one["device"]) for name, one in devices.items())
    return main["image"] if symbol == "image-path" else main["device"]


def devices_of(state: State) -> Mapping[str, Mapping[str, str]]:
    """Devices by node name; each has a `device`, images have an `image` too."""
    devices = state["blockdev"]
    if not isinstance(devices, dict) or not devices:
        raise BlockDeviceError(NO_STATE, hint="the state names no device")
    return devices


def shown_devices(pairs: Iterable[tuple[str, str]]) -> str:
    """Devices as IMAGE_BLOCK_DEVICES holds them (C-117).

    >>> shown_devices([("image0", "/dev/loop0"), ("root", "/dev/loop0p1")])
    ' [image0]=/dev/loop0  [root]=/dev/loop0p1 '
    """
    return " " + "  ".join(f"[{name}]={device}" for name, device in pairs) + " "
