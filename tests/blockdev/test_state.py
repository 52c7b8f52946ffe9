"""What a build writes down about its disk (C-206, C-208, C-209, C-223)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from pydib import blockdev
from pydib.blockdev import AssembledDisk, RootDefaults, state
from pydib.blockdev.nodes import Mkfs
from pydib.blockdev.state import Params
from pydib.errors import BlockDeviceError, EngineError, RecipeError

FIXTURES = Path(__file__).resolve().parent.parent.parent / "fixtures" / "blockdev"
GOOD = sorted(path.stem for path in FIXTURES.glob("*.yaml"))


def params_in(folder: Path, **more) -> Params:
    return Params(config=folder / "config.yaml", image_dir=folder / "images", build_dir=folder / "build",
                  mount_base=folder / "mnt", **more)


def graph_of(name: str) -> blockdev.Graph:
    return blockdev.load((FIXTURES / f"{name}.yaml").read_text(), where=name, root=RootDefaults(label="mine"))


def disk_of(graph: blockdev.Graph) -> AssembledDisk:
    """A disk as it would be made: one device for each node that is one."""
    devices = {"image0": "/dev/loop7", "ESP": "/dev/loop7p1", "root": "/dev/loop7p2"}
    return AssembledDisk(image_block_device="/dev/loop7", image_block_devices=devices,
                         images={"image0": Path("/images/image0.raw")}, main_image=Path("/images/image0.raw"),
                         fstab=graph.fstab_text())


@pytest.mark.contract("C-206", verdict="bettered", note="values are quoted: any label works")
@pytest.mark.parametrize("label", ["", "no", "123", "a: b", "# x", "ümläut", "1e3", " blank ", "it's", "[x"])
def test_params_come_back_as_they_were_written(label, tmp_path):
    params = params_in(tmp_path, root_fs_type="ext4", root_label=label, image_size_kib=271360,
                       root_fs_opts=("-i", "4096", "-E", "a b"))
    state.write_params(tmp_path / "block-device/params.yaml", params)
    assert state.read_params(tmp_path / "block-device/params.yaml") == params


@pytest.mark.contract("C-206")
def test_params_have_dibs_keys(tmp_path):
    path = tmp_path / "params.yaml"
    state.write_params(path, params_in(tmp_path, root_fs_type="xfs", root_label="x"))
    assert yaml.safe_load(path.read_text()) == {
        "config": f"{tmp_path}/config.yaml", "image-dir": f"{tmp_path}/images", "root-fs-type": "xfs",
        "root-label": "x", "mount-base": f"{tmp_path}/mnt", "build-dir": f"{tmp_path}/build"}
    state.write_params(path, params_in(tmp_path, image_size_kib=64, root_fs_opts=("-m", "1")))
    written = yaml.safe_load(path.read_text())
    assert (written["image-size"], written["root-fs-opts"]) == ("64KiB", "-m 1")


def test_params_that_a_script_wrote_are_read_as_text(tmp_path):
    path = tmp_path / "params.yaml"
    path.write_text("config: /c\nimage-dir: /i\nroot-fs-type: ext4\nroot-label: no\nmount-base: /m\nbuild-dir: /b\n"
                    "image-size: 1GiB\n")
    params = state.read_params(path)
    assert (params.root_label, params.image_size_kib, params.root_fs_opts) == ("no", 1 << 20, None)


@pytest.mark.parametrize(("text", "says"), [
    ("config: a: b\n", "not YAML"), ("- x\n", "not a map"), ("", "not a map"), ("config: /c\n", "have no 'image-dir'"),
    ("config: /c\nimage-dir: /i\nbuild-dir: /b\nmount-base: /m\nroot-fs-opts: \"'x\"\n", "cannot be split"),
    (None, "cannot be read")])
def test_wrong_params_are_one_clear_message(text, says, tmp_path):
    path = tmp_path / "params.yaml"
    if text is not None:
        path.write_text(text)
    with pytest.raises(RecipeError, match=says) as found:
        state.read_params(path)
    assert str(path) in found.value.where
    assert found.value.hint


@pytest.mark.contract("C-211", "C-223")
@pytest.mark.parametrize("name", GOOD)
def test_the_written_configuration_gives_the_same_graph(name, tmp_path):
    graph = graph_of(name)
    text = state.write_config(tmp_path, graph).read_text()
    assert all(len(entry) == 1 for entry in json.loads(text))
    again = blockdev.load(text, where=name, root=RootDefaults(label="another"))
    assert set(again.nodes) == set(graph.nodes)
    assert (again.answers.root_label, again.fstab_text()) == (graph.answers.root_label, graph.fstab_text())
    assert state.config_of(again) == state.config_of(graph)


@pytest.mark.contract("C-223")
def test_state_tells_devices_filesystems_and_mounts(tmp_path):
    graph = graph_of("efi-with-root")
    state.write_state(tmp_path, graph, disk_of(graph), mount_base=Path("/build/mnt"), uuid_of="of {}".format)
    found = json.loads((tmp_path / "state.json").read_text())
    assert found["blockdev"]["image0"] == {"device": "/dev/loop7", "image": "/images/image0.raw"}
    assert found["blockdev"]["root"] == {"device": "/dev/loop7p2"}
    assert found["mount_order"] == ["/", "/boot/efi"]
    assert found["mount"]["/"]["path"] == "/build/mnt/"
    assert found["filesys"]["mkfs_root"]["uuid"] == "of /dev/loop7p2"
    assert found["filesys"]["mkfs_root"]["label"] == "mine"
    assert (tmp_path / "fstab").read_text() == graph.fstab_text()
    state.forget(tmp_path)
    assert list(tmp_path.iterdir()) == []
    state.forget(tmp_path)


@pytest.mark.contract("C-123", "C-206", "C-213", "C-225")
def test_a_build_records_its_parameters_twice(tmp_path):
    graph = blockdev.load(None, root=RootDefaults(fs_type="ext4", label="no", options=("-m", "1")))
    path = tmp_path / "block-device/params.yaml"
    places = {"build_dir": tmp_path, "image_dir": tmp_path / "i", "mount_base": tmp_path / "mnt"}
    state.record(path, graph, **places)
    before = state.read_params(path)
    assert (before.root_label, before.image_size_kib, before.root_fs_opts) == ("no", None, None)
    state.record(path, graph, **places, size_bytes=2 << 30)
    after = state.read_params(path)
    assert after.image_size_kib == 2 << 20
    assert after.root_fs_opts == ("-i", "4096", "-J", "size=64", "-m", "1")
    assert blockdev.load(after.config.read_text(), where="x").answers == graph.answers
    assert state.answer("root-label", after) == "no"


@pytest.fixture
def built(tmp_path):
    """Parameters with a configuration, before a disk exists."""
    (tmp_path / "config.yaml").write_text((FIXTURES / "efi-with-root.yaml").read_text())
    return params_in(tmp_path, root_label="mine", root_fs_type="ext4")


@pytest.mark.contract("C-208")
@pytest.mark.parametrize("after_init", [False, True])
def test_answers_before_the_disk_exists(after_init, built):
    if after_init:
        state.write_config(state.state_dir(built.build_dir), state.load_graph(built))
        built.config.unlink()
    answers = [state.answer(symbol, built) for symbol in state.BEFORE]
    assert answers == ["mine", "ext4", "", "/boot/efi|/"]


@pytest.mark.contract("C-209")
@pytest.mark.parametrize("symbol", ["image-path", "image-block-device", "image-block-devices", "nonsense"])
def test_other_answers_need_the_disk(symbol, built):
    with pytest.raises(BlockDeviceError, match="State dump not found"):
        state.answer(symbol, built)


@pytest.mark.contract("C-117", "C-208", "C-209")
def test_answers_once_the_disk_exists(built):
    graph = state.load_graph(built)
    state.write_state(state.state_dir(built.build_dir), graph, disk_of(graph), mount_base=built.mount_base,
                      uuid_of=lambda device: "")
    assert state.answer("image-path", built) == "/images/image0.raw"
    assert state.answer("image-block-device", built) == "/dev/loop7"
    assert state.answer("image-block-devices", built) == \
        " [image0]=/dev/loop7  [ESP]=/dev/loop7p1  [root]=/dev/loop7p2 "
    assert state.answer("root-label", built) == "mine"
    assert state.answer("nonsense", built) is None


def test_without_a_configuration_file_the_built_in_one_counts(tmp_path):
    assert state.answer("mount-points", params_in(tmp_path)) == "/"
    assert state.answer("root-label", params_in(tmp_path, root_fs_type="xfs")) == "img-rootfs"


@pytest.mark.contract("C-213")
@pytest.mark.parametrize(("written", "expected"), [("", ("-i", "1024")), ("opts: -m 0, ", ("-m", "0"))])
def test_root_options_fill_only_what_the_configuration_leaves_open(written, expected, tmp_path):
    (tmp_path / "config.yaml").write_text(
        f"- local_loop: {{name: image0, mkfs: {{name: mkfs_root, {written}mount: {{mount_point: /}}}}}}\n")
    graph = state.load_graph(params_in(tmp_path, root_fs_opts=("-i", "1024")))
    assert [node.options for node in graph.of(Mkfs)] == [expected]
    assert [node.options for node in graph.nodes if isinstance(node, Mkfs)] == [expected]


@pytest.mark.parametrize("text", ["{", "[]", '{"blockdev": 3}'])
def test_a_broken_state_is_one_clear_message(text, tmp_path):
    (tmp_path / "state.json").write_text(text)
    with pytest.raises(EngineError, match="the state of the block device"):
        state.read_state(tmp_path)
