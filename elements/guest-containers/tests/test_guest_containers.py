"""Container images that come with the guest's image."""

import configparser
import io
import tarfile

import pytest

COPY = "extra-data.d/40-guest-containers"
INSTALL = "post-install.d/40-guest-containers"


def saved(path, member="manifest.json"):
    with tarfile.open(path, "w") as archive:
        entry = tarfile.TarInfo(member)
        entry.size = 2
        archive.addfile(entry, io.BytesIO(b"[]"))
    return path


@pytest.fixture
def guest(fake_root, element, commands, tmp_path):
    """A guest with one archive of images."""
    fake_root.like("debian-12")
    for place in ("/etc/sudoers.d", "/etc/systemd/system", "/usr/local/sbin"):
        fake_root.mkdir(place)
    commands.fake("visudo", "usermod")
    under_test = element("guest-containers", also=["guest-agent"])
    copied = under_test.run(COPY, env={"TROVE_CONTAINER_IMAGES": str(saved(tmp_path / "my db.tar"))})
    assert copied.ok, copied.output
    return under_test


def test_the_guest_loads_them_before_its_agent_starts(guest, fake_root):
    run = guest.run(INSTALL)
    assert run.ok, run.output
    assert fake_root.exists("/var/lib/trove-container-images/my db.tar")
    assert run.enabled == {"docker", "trove-load-containers"}
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str
    unit.read_string(fake_root.read("/etc/systemd/system/trove-load-containers.service"))
    assert unit["Unit"]["Before"] == "trove-guestagent.service"
    assert unit["Unit"]["After"] == unit["Unit"]["Requires"] == "docker.service"
    assert unit["Service"]["ExecStart"] == "/usr/local/sbin/trove-load-containers"


def test_the_agent_may_use_docker(guest, fake_root):
    run = guest.run(INSTALL, env={"GUEST_USERNAME": "me"})
    assert run.called("usermod", "--append", "--groups", "docker", "me")
    assert fake_root.read("/etc/sudoers.d/62-trove-containers") == "me ALL=(root) NOPASSWD: ALL\n"
    assert fake_root.mode("/etc/sudoers.d/62-trove-containers") == 0o440


def test_each_archive_goes_once_it_is_loaded(guest, fake_root, commands):
    assert guest.run(INSTALL).ok
    commands.fake("docker")
    run = guest.run_with("guest-containers/trove-load-containers", side="target")
    assert run.ok and run.called("docker", "load", "--input", "/var/lib/trove-container-images/my db.tar")
    assert not fake_root.exists("/var/lib/trove-container-images/my db.tar")


def test_an_archive_that_cannot_be_loaded_stays(guest, fake_root, commands):
    assert guest.run(INSTALL).ok
    commands.on("docker").exits(1)
    run = guest.run_with("guest-containers/trove-load-containers", side="target")
    assert run.exit_code == 1 and fake_root.exists("/var/lib/trove-container-images/my db.tar")


def test_without_an_agent_nothing_happens(guest):
    run = guest.run(INSTALL, env={"TROVE_AGENT": "none"})
    assert run.ok and run.wrote == () and run.calls == ()


def test_a_folder_of_archives_will_do(fake_root, element, tmp_path):
    fake_root.like("debian-12")
    (tmp_path / "images").mkdir()
    for name in ("a", "b"):
        saved(tmp_path / f"images/{name}.tar", "./index.json")
    under_test = element("guest-containers")
    assert under_test.run(COPY, env={"TROVE_CONTAINER_IMAGES": str(tmp_path / "images")}).ok
    assert {path.name for path in (under_test.hooks / "guest-containers/images").iterdir()} == {"a.tar", "b.tar"}


@pytest.mark.parametrize(("location", "problem"), [
    ("", "set TROVE_CONTAINER_IMAGES to an archive"), ("/no/such.tar", "names /no/such.tar, which is not there"),
    ("{place}", "there is no .tar file in"), ("{place}/notes", "is no archive of container images"),
    ("{place}/other.rat", "there is no manifest.json in it"),
])
def test_what_is_no_archive_of_images_ends_the_build(fake_root, element, tmp_path, location, problem):
    fake_root.like("debian-12")
    (tmp_path / "notes").write_text("hello")
    saved(tmp_path / "other.rat", "etc/passwd")
    run = element("guest-containers").run(COPY, env={"TROVE_CONTAINER_IMAGES": location.format(place=tmp_path)})
    assert run.exit_code == 1 and problem in run.output
