"""Answers questions about diskimage-builder. The oracle's own interpreter runs this file; pydib never imports it.

A request is one line of JSON, `{"call": NAME, "cases": [...]}`; the answer is one line of JSON, a list with one item
a case. Nothing is started: commands that diskimage-builder would give are recorded instead.
"""

import builtins
import contextlib
import io
import json
import logging
import os
import struct
import sys
import tempfile
import uuid

from diskimage_builder import element_dependencies, paths
from diskimage_builder.block_device import blockdevice, config
from diskimage_builder.block_device.level0 import localloop
from diskimage_builder.block_device.level1 import lvm, partitioning
from diskimage_builder.block_device.level2 import mkfs
from diskimage_builder.block_device.level3 import mount

ELEMENTS = paths.get_path("elements")
SHELVES = {}
PROGRAMS = {}


def resolve(case):
    """What names expand to: names with paths, or the class of the error."""
    try:
        if case["places"] not in SHELVES:
            SHELVES[case["places"]] = element_dependencies._find_all_elements(case["places"])
        found = element_dependencies._expand_element_dependencies(case["wanted"], SHELVES[case["places"]])
    except Exception as error:
        return {"error": type(error).__name__}
    return {"elements": {element.name: element.path for element in found}}


@contextlib.contextmanager
def environment(values):
    """Only `values` in os.environ."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def run_program(path, argv, env):
    """One of the oracle's Python programs, in this process; its exit code and what it printed."""
    if path not in PROGRAMS:
        with open(path, encoding="utf-8") as source:
            PROGRAMS[path] = compile(source.read(), path, "exec")
    out, before = io.StringIO(), sys.argv
    sys.argv = [path, *argv]
    code = 0
    try:
        with environment(env), contextlib.redirect_stdout(out), contextlib.redirect_stderr(io.StringIO()):
            exec(PROGRAMS[path], {"__name__": "__main__", "__file__": path})
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        code = 1
    finally:
        sys.argv = before
    return {"code": code, "out": out.getvalue()}


def squash(case):
    """package-installs-squash: the phases it writes, or its exit code."""
    program = os.path.join(ELEMENTS, "package-installs/bin/package-installs-squash")
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out.json")
        done = run_program(program, ["--elements", case["elements"], "--path", case["path"], out], case["env"])
        if done["code"]:
            return {"code": done["code"]}
        with open(out, encoding="utf-8") as source:
            return {"phases": json.load(source)}


def pkg_map(case):
    """pkg-map: exit code and lines."""
    return run_program(os.path.join(ELEMENTS, "pkg-map/bin/pkg-map"), case["argv"], case["env"])


def svc_merge(case):
    """What the svc-map hook merges: the text of the file, or the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(os.path.join(folder, "tmp"))
        env = {**case["env"], "TMP_MOUNT_PATH": folder}
        done = run_program(os.path.join(ELEMENTS, "svc-map/extra-data.d/10-merge-svc-map-files"), [], env)
        if done["code"]:
            return {"code": done["code"]}
        with open(os.path.join(folder, "tmp", "svc-map-services"), encoding="utf-8") as source:
            return {"text": source.read()}


def svc_map(case):
    """svc-map with `root` standing for the image."""
    real = os.path.exists, os.path.isfile, builtins.open

    def inside(path):
        moved = isinstance(path, str) and path.startswith(("/lib/systemd", "/etc/init", "/usr/share/svc-map"))
        return case["root"] + path if moved else path

    os.path.exists = lambda path: real[0](inside(path))
    os.path.isfile = lambda path: real[1](inside(path))
    builtins.open = lambda path, *more, **named: real[2](inside(path), *more, **named)
    try:
        return run_program(os.path.join(ELEMENTS, "svc-map/bin/svc-map"), case["names"], {})
    finally:
        os.path.exists, os.path.isfile, builtins.open = real


class Recorder:
    """Stands for exec_sudo: keeps commands, and hands out loop devices."""

    def __init__(self):
        self.commands = []
        self.loops = 0

    def __call__(self, command):
        self.commands.append([str(word) for word in command])
        if command[0] == "losetup" and "--show" in command:
            self.loops += 1
            return f"/dev/loop{self.loops - 1}\n"
        return ""


def block_device(case):
    """A configuration, from its text to the commands that would make it."""
    recorder = Recorder()
    for module in (blockdevice, localloop, partitioning, lvm, mkfs, mount):
        module.exec_sudo = recorder
    mkfs.uuid.uuid4 = lambda: uuid.UUID(int=0)
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "config.yaml"), "w", encoding="utf-8") as out:
            out.write(case["text"])
        params = {"config": os.path.join(folder, "config.yaml"), "image-dir": folder, "build-dir": folder,
                  "mount-base": os.path.join(folder, "mnt"), **case["params"]}
        answer = {"folder": folder}
        try:
            with environment(case.get("env", {})):
                describe(blockdevice.BlockDevice(params), params, answer)
        except Exception as error:
            answer["error"] = f"{type(error).__name__}: {error}"
        answer["commands"] = [[word.replace(folder, "DIR") for word in words] for words in recorder.commands]
        return answer


def describe(device, params, answer):
    """Fill `answer`: it keeps what was known when an error comes."""
    device.cmd_init()
    answer["answers"] = {name: asked(device, name) for name in ("root-label", "root-fstype", "boot-label",
                                                                 "mount-points")}
    state = blockdevice.BlockDeviceState()
    graph, order = config.create_graph(device.config, params, state)
    answer["order"] = [node.name for node in order]
    answer["edges"] = [list(edge) for edge in graph.edges]
    for node in order:
        node.create()
    state.save_state(device.state_json_file_name)
    devices = state.get("blockdev", {})
    answer["devices"] = {name: found["device"] for name, found in devices.items()}
    answer["tables"] = {name: read_mbr(found["image"]) for name, found in devices.items() if "image" in found}
    answer["images"] = {name: os.path.getsize(found["image"]) for name, found in devices.items() if "image" in found}
    device.cmd_writefstab()
    with open(os.path.join(device.state_dir, "fstab"), encoding="utf-8") as source:
        answer["fstab"] = source.read()
    answer["mount_order"] = state.get("mount_order", [])


def asked(device, symbol):
    """What getval prints; null when it fails."""
    out = io.StringIO()
    try:
        with contextlib.redirect_stdout(out):
            device.cmd_getval(symbol)
    except Exception:
        return None
    return out.getvalue().rstrip("\n")


def read_mbr(path):
    """[number, start, sectors, type, bootable] of each entry of an MBR and its chain; empty when there is none."""
    with open(path, "rb") as image:
        found, extended = [], 0
        for number, entry in enumerate(entries(image, 0), 1):
            if entry[2]:
                found.append([number, *entry])
            if entry[2] == 0x0f:
                extended = entry[0]
        number, at = 5, extended
        while at:
            here, following = entries(image, at)[:2]
            found.append([number, at + here[0], *here[1:]])
            number, at = number + 1, extended + following[0] if following[2] else 0
    return found


def entries(image, sector):
    """The four entries of the table in one sector: start, sectors, type, bootable."""
    image.seek(sector * 512 + 446)
    raw = image.read(66)
    if raw[64:] != b"\x55\xaa":
        return []
    return [[start, length, kind, flag == 0x80]
            for flag, kind, start, length in (struct.unpack("<B3xB3xII", raw[at:at + 16]) for at in range(0, 64, 16))]


def yaml_command(case):
    """`diskimage-builder --dry-run`: exit code and what it would run."""
    from diskimage_builder import diskimage_builder as command
    err, before = io.StringIO(), sys.argv
    sys.argv = ["diskimage-builder", "--dry-run", *case["files"]]
    code = 0
    try:
        with contextlib.redirect_stderr(err), contextlib.redirect_stdout(io.StringIO()):
            code = command.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        code = 1
    finally:
        sys.argv = before
    return {"code": code or 0, "err": err.getvalue(), "lib": paths.get_path("lib")}


CALLS = {call.__name__: call for call in (resolve, squash, pkg_map, svc_merge, svc_map, block_device, yaml_command)}


def main():
    """Answer until the input ends."""
    logging.disable(logging.CRITICAL)
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    for line in sys.stdin:
        request = json.loads(line)
        call = CALLS[request["call"]]
        answers.write(json.dumps([call(case) for case in request["cases"]]) + "\n")
        answers.flush()


main()
