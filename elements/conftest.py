"""What the tests of several elements share."""

import pytest

SHOW = '#!/bin/bash\necho "type: ${DIB_BLOCK_DEVICE:-}"\n'
STATE = "#!/bin/bash\necho the state\n"


@pytest.fixture
def vendor(fake_root, element, commands):
    """`vendor("ubuntu-24.04", ELEMENT, SCRIPT, fingerprint=...)`: the script adds its vendor's repository there. The
    key that is fetched has that fingerprint."""

    def add(root, name, script, *, fingerprint="ANY"):
        fake_root.like(root)
        for place in ("/etc/apt/sources.list.d", "/etc/yum.repos.d"):
            fake_root.mkdir(place)
        commands.on("curl").does('while [ "$1" != --output ]; do shift; done; echo key >"$2"')
        commands.fake("gpg")
        commands.on("gpg", "--show-keys").prints(f"fpr:::::::::{fingerprint}:")
        run = element(name).run(script)
        assert run.ok, run.output
        return run

    return add


@pytest.fixture
def kind_of_disk(element):
    """`kind_of_disk(ELEMENT, ARCH)`: what a script of the build sees as DIB_BLOCK_DEVICE, as a line `type: ...`."""
    made = {}

    def ask(name, arch):
        under_test = made.get(name) or made.setdefault(name, element(name))
        script = under_test.hooks / "root.d/00-show"
        script.parent.mkdir(exist_ok=True)
        script.write_text(SHOW)
        script.chmod(0o755)
        return under_test.run("root.d/00-show", env={"ARCH": arch})

    return ask


@pytest.fixture
def fingerprint_is_of_the_archives():
    """`fingerprint_is_of_the_archives(UNDER_TEST)`: it is what bootstrap/archive-state says, where there is one."""

    def check(under_test, *, alone=True):
        state = under_test.hooks / "bootstrap/archive-state"
        if alone:
            state.unlink(missing_ok=True)
            nothing = under_test.run_with("fingerprint", side="host")
            assert (nothing.exit_code, nothing.output) == (0, ""), "no element of the build knows the archives"
            state.parent.mkdir(exist_ok=True)
        state.write_text(STATE)
        state.chmod(0o755)
        assert under_test.run_with("fingerprint", side="host").output == "the state\n"

    return check
