"""A database from packages that the builder has."""

import io
import tarfile

import pytest

COPY = "extra-data.d/40-datastore-package"
INSTALL = "install.d/40-datastore-package"


@pytest.fixture
def build(fake_root, element, commands, tmp_path):
    """Copies and installs what is in `packages`; gives the run that failed, or the last."""
    fake_root.like("debian-12")
    (tmp_path / "packages").mkdir()
    commands.on("dpkg", "--print-architecture").prints("amd64")
    commands.fake("dpkg-deb")
    commands.on("dpkg-deb", "--field").prints("amd64")
    under_test = element("datastore-package")

    def run(*names, location=None, **env):
        for name in names:
            (tmp_path / "packages" / name).write_bytes(b"package")
        env["DATASTORE_PKG_LOCATION"] = str(tmp_path / "packages") if location is None else location
        copied = under_test.run(COPY, env=env)
        return under_test.run(INSTALL, env=env) if copied.ok else copied

    return run


def test_a_folder_of_packages_is_installed_in_one_call(build):
    run = build("b.deb", "a.deb", "notes.txt")
    assert run.ok, run.output
    installs = [call for call in run.calls if call.name == "install-packages"]
    assert [[arg.rpartition("/")[2] for arg in call.args] for call in installs] == [["a.deb", "b.deb"]]
    assert all(arg.startswith("/") for arg in installs[0].args)


def test_one_file_will_do(build, tmp_path):
    (tmp_path / "my db_1.0+x~2.deb").touch()
    run = build(location=str(tmp_path / "my db_1.0+x~2.deb"))
    assert run.ok and run.calls[-1].args[0].endswith("/datastore-package/my_db_1.0+x~2.deb")


@pytest.mark.parametrize(("location", "problem"), [
    ("", "set DATASTORE_PKG_LOCATION"), ("/no/such.deb", "names /no/such.deb, which is not there"),
    ("https://vendor.test/db.deb", "download it, and name the file"), ("/etc/passwd", "is no .deb, .rpm or .tar file"),
    (None, "there is no .deb, .rpm or .tar file in"),
])
def test_what_is_no_package_ends_the_build(build, location, problem):
    run = build(location=location)
    assert run.exit_code == 1 and problem in run.output


def test_another_architecture_ends_the_build(build, commands):
    commands.on("dpkg-deb", "--field").prints("arm64")
    run = build("db.deb")
    assert run.exit_code == 1
    assert "db.deb is for the architecture arm64, but the image is for amd64" in run.output
    assert not run.called("install-packages")


def test_architecture_does_not_matter_to_all(build, commands):
    commands.on("dpkg-deb", "--field").prints("all")
    assert build("db.deb").called("install-packages")


@pytest.mark.parametrize(("root", "name", "missing"), [
    ("debian-12", "db.rpm", "rpm"), ("fedora-41", "db.deb", "dpkg-deb")])
def test_another_family_of_distributions_ends_the_build(fake_root, element, commands, tmp_path, root, name, missing):
    commands.missing(missing)
    fake_root.like(root)
    (tmp_path / name).touch()
    under_test = element("datastore-package")
    assert under_test.run(COPY, env={"DATASTORE_PKG_LOCATION": str(tmp_path / name)}).ok
    run = under_test.run(INSTALL)
    assert run.exit_code == 1 and f"{name} is for " in run.output and "this image is not" in run.output


def test_rpms_on_fedora(fake_root, element, commands, tmp_path):
    fake_root.like("fedora-41")
    commands.on("rpm", "--eval").prints("x86_64")
    commands.on("rpm", "--query").prints("noarch")
    (tmp_path / "db.rpm").touch()
    under_test = element("datastore-package")
    assert under_test.run(COPY, env={"DATASTORE_PKG_LOCATION": str(tmp_path / "db.rpm")}).ok
    assert under_test.run(INSTALL).called("install-packages")


def test_archives_are_unpacked(fake_root, build, tmp_path):
    with tarfile.open(tmp_path / "packages/db.tar.gz", "w:gz") as archive:
        entry = tarfile.TarInfo("db/bin/server")
        entry.size = 2
        archive.addfile(entry, io.BytesIO(b"x\n"))
    assert build().ok
    assert fake_root.read("/opt/db/bin/server") == "x\n"
    assert build(DATASTORE_PKG_DESTINATION="/srv/databases").ok
    assert fake_root.read("/srv/databases/db/bin/server") == "x\n"
