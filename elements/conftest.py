"""What the tests of several elements share."""

import pytest

TELL = '#!/bin/bash\necho "told: ${!ASKED_FOR}"\n'
SHOW = '#!/bin/bash\necho "type: ${DIB_BLOCK_DEVICE:-}"\n'
STATE = "#!/bin/bash\necho the state\n"


@pytest.fixture
def vendor(fake_root, element, commands):
    """`vendor("ubuntu-24.04", ELEMENT, SCRIPT, fingerprint=...)`: the script adds its vendor's repository there. The
    key that is fetched has that fingerprint."""

    def add(root, name, script, *, fingerprint="ANY", env=None):
        fake_root.like(root)
        for place in ("/etc/apt/sources.list.d", "/etc/yum.repos.d"):
            fake_root.mkdir(place)
        commands.on("curl").does('while [ "$1" != --output ]; do shift; done; echo key >"$2"')
        commands.fake("gpg")
        commands.on("gpg", "--show-keys").prints(f"fpr:::::::::{fingerprint}:")
        run = element(name).run(script, env=env)
        assert run.ok, run.output
        return run

    return add


@pytest.fixture
def variable(fake_root, element):
    """`variable(ELEMENT, NAME, **SET)`: its value for scripts. The caller has set what SET says, and no release."""
    made = {}

    def ask(name, asked_for, **set_by_caller):
        if name not in made:
            fake_root.like("ubuntu-24.04")
            made[name] = element(name)
            script = made[name].hooks / "pre-install.d/00-tell"
            script.parent.mkdir(exist_ok=True)
            script.write_text(TELL)
            script.chmod(0o755)
        run = made[name].run("pre-install.d/00-tell", env={"DIB_RELEASE": "", "ASKED_FOR": asked_for, **set_by_caller})
        assert run.ok, run.output
        return run.output.rpartition("told: ")[2].strip()

    return ask


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


@pytest.fixture
def piece_of_init(fake_root, element):
    """`piece_of_init(ELEMENT, FILE, ..., given=ASSIGNMENTS)`: gives `run(LINE, BEFORE, AFTER)`: it runs these files of
    init.d as a ramdisk's /init does, with its functions and bash code around them. LINE is the kernel's command line.
    That and the devices are files of the fake root."""

    def of(name, *files, given=""):
        fake_root.like("debian-12")
        under_test = element(name)
        script = under_test.hooks / "install.d/50-piece"
        script.parent.mkdir(exist_ok=True)
        pieces = "".join(f'. "$here/init.d/{file}"\n' for file in files)

        def run(line="", before="", after=""):
            fake_root.write("/fake/cmdline", line + "\n")
            script.write_text('#!/bin/bash\nhere=$(dirname "$0")/..\nKERNEL_PARAMETERS=/fake/cmdline\n'
                              'NET_DEVICES=/fake/net DEVICES=/fake/dev VMEDIA_PARAMETERS=/none FIRST_ERR_MSG=\n'
                              f'{given}\n. "$here/ramdisk-init/init-func"\n{before}\n{pieces}{after}\n')
            script.chmod(0o755)
            return under_test.run("install.d/50-piece")

        return run

    return of


@pytest.fixture
def iscsi_functions(fake_root, element):
    """`iscsi_functions(ELEMENT, BEFORE)`: gives `run(CODE)`: it runs bash code, after the code BEFORE, with the
    functions by which ELEMENT offers disks."""

    def of(name, before):
        fake_root.like("debian-12")
        under_test = element(name)
        assert under_test.run(f"extra-data.d/52-{name}").ok
        assert fake_root.exists("/tmp/ramdisk-build/d/iscsi-func")
        script = under_test.hooks / "install.d/50-try"
        script.parent.mkdir(exist_ok=True)

        def run(code):
            script.write_text(f'#!/bin/bash\n{before}\n. "$(dirname "$0")/../{name}/iscsi-func"\n{code}')
            script.chmod(0o755)
            return under_test.run("install.d/50-try")

        return run

    return of
