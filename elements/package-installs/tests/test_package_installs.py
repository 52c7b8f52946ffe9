"""Packages: merged on the host, mapped and installed in the target."""

import json

import pytest

SQUASH = "extra-data.d/99-squash-package-install"


@pytest.fixture
def squash(fake_root, element, tmp_path):
    """Run the host script over the given package-installs.yaml texts, element by element."""
    fake_root.like("debian-12")
    under_test = element("package-installs")

    def run(env=None, suffix="yaml", **texts):
        known = []
        for name, text in texts.items():
            folder = tmp_path / "more" / name
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"package-installs.{suffix}").write_text(text)
            known.append(f"{name}: {folder}")
        engine = {"IMAGE_ELEMENT": " ".join(texts), "IMAGE_ELEMENT_YAML": "{" + ", ".join(known) + "}"}
        return under_test.run(SQUASH, env={**engine, **(env or {})})

    run.written = lambda name="all": json.loads((under_test.hooks / f"package-installs/{name}.json").read_text())
    return run


@pytest.fixture
def result(squash):
    """The squashed file."""

    def get(env=None, **texts):
        run = squash(env, **texts)
        assert run.ok, run.output
        return squash.written()

    return get


def names(result, phase="install.d", action="install"):
    return [package for package, _ in result.get(phase, {}).get(action, [])]


def test_a_package_without_options_is_installed_in_install_d(result):
    assert result(one="a:\nb: ''\nc: {}\nd: []\n") == {
        "install.d": {"install": [[name, "one"] for name in "abcd"], "uninstall": []}}


def test_phases_are_kept_apart(result):
    got = result(one="a: {phase: pre-install.d}\nb: {phase: post-install.d}\n", two="c: {phase: pre-install.d}\n")
    assert got["pre-install.d"]["install"] == [["a", "one"], ["c", "two"]]
    assert names(got, "post-install.d") == ["b"]


def test_build_only_packages_come_and_go(result):
    got = result(one="gcc: {build-only: true}\nemacs: {uninstall: true}\n")
    assert names(got) == ["gcc"]
    assert names(got, action="uninstall") == ["emacs", "gcc"]


@pytest.mark.parametrize("order", [("keeps", "removes"), ("removes", "keeps")])
def test_a_package_that_somebody_keeps_stays(result, order):
    texts = {"keeps": "gcc:\nvim:\n", "removes": "gcc: {build-only: true}\nvim: {uninstall: true}\n"}
    assert names(result(**{name: texts[name] for name in order}), action="uninstall") == []


def test_a_block_that_does_not_apply_keeps_nothing(result):
    got = result(one="vim: {uninstall: true}\n", two="vim: {arch: s390x}\n")
    assert names(got, action="uninstall") == ["vim"]


@pytest.mark.parametrize(("options", "there"), [
    ("arch: amd64", True), ("arch: arm64", False), ("'arch': 'arm64, amd64'", True), ("arch: [arm64, amd64]", True),
    ("not-arch: amd64", False), ("not-arch: 'arm64, s390x'", True),
    ("installtype: source", True), ("installtype: package", False),
    ("dib_python_version: 3", True), ("dib_python_version: 2", False),
    ("when: WHO = me", True), ("when: WHO=me", True), ("when: WHO != me", False), ("when: [WHO = me, X = 1]", False),
    ("when: [WHO = me, X != 1]", True),
])
def test_conditions(result, options, there):
    got = result(env={"WHO": "me", "X": "2"}, one="a: {" + options + "}\n")
    assert names(got) == (["a"] if there else [])


@pytest.mark.parametrize(("env", "there"), [
    ({"DIB_DEFAULT_INSTALLTYPE": "package"}, True), ({"DIB_INSTALLTYPE_my_one": "package"}, True),
    ({"DIB_INSTALLTYPE_my_one": "source", "DIB_DEFAULT_INSTALLTYPE": "package"}, False),
])
def test_the_install_type_can_be_chosen_per_element(result, env, there):
    assert names(result(env=env, **{"my-one": "a: {installtype: package}\n"})) == (["a"] if there else [])


def test_a_list_of_blocks_is_looked_at_one_by_one(result):
    got = result(one="a:\n- {phase: pre-install.d, arch: amd64}\n"
                     "- {phase: post-install.d, arch: arm64}\n- {uninstall: 1}\n")
    assert (names(got, "pre-install.d"), names(got, "post-install.d")) == (["a"], [])
    assert names(got, action="uninstall") == ["a"]


@pytest.mark.parametrize(("text", "complaint"), [
    ("a: {when: NOWHERE = 1}", "needs the variable NOWHERE, which is not set"),
    ("a: {when: nonsense}", "must have the form VAR = value"),
    ("a: {arch: amd64, not-arch: arm64}", "package a: arch and not-arch cannot both be given"),
    ("- a", "must map packages to options"),
    ("a: [b]", "package a: options must be a map"),
    ("a: [", "not valid"),
])
def test_wrong_files_are_named(squash, text, complaint):
    run = squash(one=text)
    assert run.exit_code == 1
    assert run.output.startswith("package-installs: ") and complaint in run.output
    assert "more/one/package-installs.yaml" in run.output
    assert "Traceback" not in run.output


def test_json_files_count_as_well(squash):
    assert squash(one='{"a": null}', suffix="json").ok
    assert names(squash.written()) == ["a"]


@pytest.mark.contract("C-240")
def test_the_target_sees_all_and_each_phase_its_own(squash, fake_root):
    assert squash(one="a:\nb: {phase: post-install.d}\nc: {phase: odd.d}\n").ok
    assert fake_root.link("/tmp/package-installs.json") == "/tmp/in_target.d/package-installs/all.json"
    assert set(squash.written()) == {"install.d", "post-install.d", "odd.d"}
    assert squash.written("pre-install.d") == {}
    for phase, package in (("install.d", "a"), ("post-install.d", "b"), ("odd.d", "c")):
        assert squash.written(phase) == {phase: {"install": [[package, "one"]], "uninstall": []}}


def test_empty_files_and_elements_without_one_are_fine(result):
    assert result(one="", two="# nothing\n") == {}


@pytest.fixture
def target(fake_root, element):
    """The element over a Debian root with something to install."""
    fake_root.like("debian-12").commands.real("pkg-map")
    fake_root.write("/usr/share/pkg-map/one", json.dumps(
        {"family": {"debian": {"ssh": "openssh-server openssh-client"}}, "default": {"none": ""}}))
    under_test = element("package-installs")
    for phase, wanted in {
        "install.d": {"install": [["ssh", "one"], ["a", "two"], ["none", "one"], ["b", "two"], ["a", "one"]],
                      "uninstall": [["gcc", "one"]]},
        "post-install.d": {"install": [["none", "one"]], "uninstall": []},
    }.items():
        (under_test.hooks / f"package-installs/{phase}.json").write_text(json.dumps({phase: wanted}))
    return under_test


@pytest.mark.contract("C-246")
def test_one_call_installs_everything_under_its_own_name(target):
    run = target.run("install.d/01-package-installs")
    assert run.ok, run.output
    assert run.lines == ["install-packages openssh-server openssh-client a b"]


def test_one_call_removes_what_is_to_go(target):
    assert target.run("install.d/99-package-uninstalls").lines == ["install-packages -e gcc"]


@pytest.mark.parametrize("script", ["pre-install.d/10-package-installs", "post-install.d/00-package-installs",
                                    "post-install.d/95-package-uninstalls", "pre-install.d/99-package-uninstalls"])
@pytest.mark.contract("C-246")
def test_nothing_to_do_calls_nobody(target, script):
    run = target.run(script)
    assert run.ok, run.output
    assert run.calls == ()
    assert run.output.startswith("Nothing to ") or "-> nothing" in run.output


@pytest.mark.contract("C-246")
def test_a_failing_package_manager_fails_the_build(target, commands):
    commands.on("install-packages").exits(100).complains("no such package")
    run = target.run("install.d/01-package-installs")
    assert run.exit_code == 1
    assert run.output.endswith("no such package\npackage-installs: install-packages failed with exit code 100\n")


@pytest.mark.contract("C-247")
def test_the_older_files_are_installed_in_the_same_call(target, fake_root):
    (target.hooks / "install.d/package-installs-one").write_text("# words\n\nssh\n-make  # for the build\n")
    (target.hooks / "install.d/package-installs-one~").write_text("backup\n")
    assert target.run("install.d/01-package-installs").lines == [
        "install-packages openssh-server openssh-client a make b"]
    assert target.run("install.d/99-package-uninstalls").lines == ["install-packages -e gcc make"]


def test_the_older_commands_still_work(target, fake_root):
    fake_root.write("/opt/lists/package-installs-one", "ssh\n-make\n")
    assert target.run_with("bin/package-installs", "-d", "/opt/lists", side="target").lines == [
        "install-packages openssh-server openssh-client make"]
    assert target.run_with("bin/package-uninstalls", "-d", "/opt/lists", side="target").lines == [
        "install-packages -e make"]
    assert target.run_with("bin/package-installs", side="target").exit_code == 1


def test_another_elements_pkg_map_is_asked(target, fake_root):
    fake_root.write("/usr/local/bin/pkg-map", "#!/bin/bash\necho mapped\n", mode=0o755)
    assert target.run("install.d/99-package-uninstalls").lines == ["install-packages -e mapped"]
