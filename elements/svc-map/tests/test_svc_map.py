"""Names of services, by distribution."""

import pytest


@pytest.fixture
def shelf(request, tmp_path):
    """Elements with the given svc-map texts, beside nothing else."""

    def put(**texts):
        paths = []
        for name, text in texts.items():
            (tmp_path / "more" / name).mkdir(parents=True)
            (tmp_path / "more" / name / "svc-map").write_text(text)
            paths.append(f"{name}: {tmp_path / 'more' / name}")
        return "{" + ", ".join(paths) + "}"

    return put


ONE = """
ssh-server: {debian: ssh, redhat: sshd, default: openssh}
plain: {gentoo: other}
"""


@pytest.mark.parametrize(("distro", "name"), [
    ("debian", "ssh"), ("ubuntu", "ssh"), ("fedora", "sshd"), ("rocky", "sshd"), ("opensuse", "openssh"),
])
def test_services_are_merged_for_the_distribution(fake_root, element, shelf, distro, name):
    fake_root.like("debian-12")
    both = shelf(one=ONE, two="x: {default: y}")
    run = element("svc-map").run("extra-data.d/10-merge-svc-map-files",
                                 env={"DISTRO_NAME": distro, "IMAGE_ELEMENT_YAML": both})
    assert run.ok, run.output
    assert fake_root.read("/usr/share/svc-map/services") == f"plain: plain\nssh-server: {name}\nx: y\n"


@pytest.mark.parametrize(("text", "complaint"), [
    ("ssh-server: {default: x}", "service ssh-server is in the svc-map of both one and two"),
    ("[a", "element two: svc-map is not valid YAML"),
    ("- a", "element two: svc-map must map services"),
    ("a: b", "service a needs names by distribution"),
])
def test_a_wrong_map_ends_the_build_with_one_message(fake_root, element, shelf, text, complaint):
    fake_root.like("debian-12")
    run = element("svc-map").run("extra-data.d/10-merge-svc-map-files",
                                 env={"IMAGE_ELEMENT_YAML": shelf(one=ONE, two=text)})
    assert run.exit_code == 1
    assert run.output.startswith("svc-map: ") and complaint in run.output
    assert not fake_root.exists("/usr/share/svc-map/services")


def test_elements_without_a_map_are_fine(fake_root, element):
    fake_root.like("debian-12")
    assert element("svc-map").run("extra-data.d/10-merge-svc-map-files").ok
    assert fake_root.read("/usr/share/svc-map/services") == ""


@pytest.mark.contract("C-256")
def test_the_tool_prefers_what_is_installed(fake_root, element, commands):
    commands.real("svc-map")
    fake_root.like("debian-12").write("/usr/share/svc-map/services", "a: a-real\nb: 'on'\nc: c-real\n")
    fake_root.write("/usr/lib/systemd/system/a.service", "")
    run = element("svc-map").run_with("bin/svc-map", "a", "b", "c", "d", "a.service", side="target")
    assert run.ok, run.output
    assert run.output == "a\non\nc-real\nd\na.service\n"
