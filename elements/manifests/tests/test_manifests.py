"""What was built, written down in the image and beside it."""

import pytest

ENV = '''declare -x DIB_A="1"
declare -x DIB_DEV_USER_PASSWORD="first line
declare -y second line"
declare -x DIB_SECRET_THING="x"
declare -x DIB_Z="last
line"'''


def test_the_directory_is_there_for_other_elements(fake_root, element):
    fake_root.like("debian-12")
    assert element("manifests").run("extra-data.d/20-manifest-dir").ok
    assert fake_root.path("/etc/dib-manifests").is_dir()


@pytest.mark.contract("C-269", "C-300", verdict="bettered", note="passwords do not enter manifests")
def test_arguments_and_variables_are_kept_without_secrets(fake_root, element):
    fake_root.like("debian-12").write("/etc/dib-manifests/dib-element-manifest", "manifests\n")
    run = element("manifests").run("cleanup.d/01-copy-manifests-dir",
                                   env={"DIB_ENV": ENV, "DIB_ARGS": "-o image debian vm"})
    assert run.ok, run.output
    assert fake_root.read("/etc/dib-manifests/dib_arguments") == "-o image debian vm\n"
    assert fake_root.read("/etc/dib-manifests/dib_environment") == (
        'declare -x DIB_A="1"\ndeclare -x DIB_DEV_USER_PASSWORD="(not recorded)"\n'
        'declare -x DIB_SECRET_THING="(not recorded)"\ndeclare -x DIB_Z="last\nline"\n')
    for path in fake_root.tree("/etc/dib-manifests"):
        assert fake_root.mode(path) == 0o600


@pytest.mark.contract("C-269")
def test_a_copy_lies_beside_the_image(fake_root, element):
    fake_root.like("debian-12").write("/etc/dib-manifests/dib-element-manifest", "manifests\n")
    run = element("manifests").run("cleanup.d/01-copy-manifests-dir", env={"IMAGE_NAME": "out/image"})
    assert run.ok, run.output
    copy = fake_root.base / "cwd/out/image.d/dib-manifests"
    assert sorted(file.name for file in copy.iterdir()) == ["dib-element-manifest", "dib_arguments", "dib_environment"]


def test_both_directories_can_be_chosen(fake_root, element):
    fake_root.like("debian-12")
    env = {"DIB_MANIFEST_IMAGE_DIR": "/opt/manifests", "DIB_MANIFEST_SAVE_DIR": str(fake_root.base / "saved")}
    under_test = element("manifests")
    assert under_test.run("extra-data.d/20-manifest-dir", env=env).ok
    assert under_test.run("cleanup.d/01-copy-manifests-dir", env=env).ok
    assert fake_root.exists("/opt/manifests/dib_arguments")
    assert (fake_root.base / "saved/manifests/dib_arguments").exists()
