"""Memory and disks are tried."""

import pytest


@pytest.fixture
def piece(fake_root, element, commands):
    """Run a piece of /init, with the functions of ramdisks; the command line and devices are files of the fake root."""
    fake_root.like("debian-12")
    under_test = element("hwburnin")
    script = under_test.hooks / "install.d/50-piece"
    script.parent.mkdir(exist_ok=True)

    def run(line="", before="", after=""):
        fake_root.write("/fake/cmdline", line + "\n")
        script.write_text('#!/bin/bash\nhere=$(dirname "$0")/..\nKERNEL_PARAMETERS=/fake/cmdline\n'
                          'NET_DEVICES=/fake/net DEVICES=/fake/dev VMEDIA_PARAMETERS=/none FIRST_ERR_MSG=\n'
                          f'. "$here/ramdisk-init/init-func"\n{before}\n. "$here/init.d/70-hwburnin"\n{after}\n')
        script.chmod(0o755)
        return under_test.run("install.d/50-piece")

    return run


@pytest.mark.parametrize(("line", "memory", "disk"), [
    ("", ("1G", "10"), None),
    ("burnin_memory=16M burnin_loops=1 burnin_disk=vdb burnin_disk_size=1M", ("16M", "1"), "1M"),
    ("burnin_disk=/dev/vdb", ("1G", "10"), "4096"),
])
def test_as_much_as_is_asked_for(piece, commands, line, memory, disk):
    commands.fake("memtester", "spew")
    commands.on("blockdev").prints("4096")
    run = piece(line)
    assert run.called("memtester", *memory) and "hwburnin: memory is sound" in run.output
    assert run.called("spew", disk or "", "/dev/vdb") if disk else not run.called("spew")


def test_what_is_not_sound(piece, commands):
    commands.on("memtester").exits(4)
    commands.on("spew").exits(1)
    run = piece("burnin_disk=vdb burnin_disk_size=1M", "", 'echo "first: $FIRST_ERR_MSG"')
    assert "first: memtester found memory" in run.output and "ERROR: spew found that /dev/vdb" in run.output
