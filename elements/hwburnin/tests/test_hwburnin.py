"""Memory and disks are tried."""

import pytest


@pytest.fixture
def piece(piece_of_init):
    return piece_of_init("hwburnin", "70-hwburnin")


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
