"""Reading a serial console."""

from __future__ import annotations

import pytest

from pydib.verify.console import TAIL_LINES, Console, clean


def console_after(*pieces: bytes, expect: str | None = None) -> tuple[Console, list[str]]:
    lines: list[str] = []
    console = Console(expect=expect, on_line=lines.append)
    for piece in pieces:
        console.feed(piece)
    return console, lines


@pytest.mark.parametrize("output", [
    b"\r\ndebian login: ",
    b"debian login:",
    b"\x1b[2J\x1b[Hdebian \x1b[1mlogin: \x1b[0m",
    b"debian login: [   36.438627] kvm: Nested Virtualization enabled\r\n",
    b"CentOS Stream 9\r\nKernel 5.14\r\n\r\nlocalhost login: \r\n",
])
def test_a_login_prompt(output: bytes) -> None:
    assert console_after(output)[0].reached


@pytest.mark.parametrize("output", [
    b"Started getty, login: service of systemd\r\n",
    b"Last login: ",
    b"login: failed attempts\r\n",
    b"Starting login service...\r\n",
])
def test_no_login_prompt(output: bytes) -> None:
    assert not console_after(output)[0].reached


def test_a_prompt_in_pieces_of_one_byte() -> None:
    console, lines = console_after(*(bytes([byte]) for byte in b"hello\r\n\x1b[32mhost\x1b[0m login: "))
    assert console.reached
    assert lines == ["hello"]


def test_expected_text_replaces_the_prompt() -> None:
    assert not console_after(b"host login: ", expect="ready for")[0].reached
    assert console_after(b"mysqld: ready ", b"for connections", expect="ready for")[0].reached


def test_expected_text_is_no_pattern() -> None:
    assert not console_after(b"abc\n", expect="a.c")[0].reached


def test_lines_come_clean_and_without_empty_ones() -> None:
    _, lines = console_after(b"\x1b[0;32m  OK  \x1b[0m] Started\r\r\n\r\n\x1b]0;title\x07two\x07\n", b"half")
    assert lines == ["  OK  ] Started", "two"]


def test_a_carriage_return_alone_begins_a_new_line() -> None:
    assert console_after(b"10%\r20%\r", b"done\r", b"\n")[1] == ["10%", "20%", "done"]


def test_bytes_that_are_no_text_do_no_harm() -> None:
    assert console_after(b"\xff\xfe caf\xc3\xa9\n")[1] == ["\ufffd\ufffd café"]


def test_the_tail_has_the_unfinished_line_and_a_limit() -> None:
    console, _ = console_after(*(b"line %d\n" % number for number in range(100)), b"half")
    assert console.tail[-2:] == ("line 99", "half")
    assert len(console.tail) == TAIL_LINES + 1


def test_finish_hands_out_the_unfinished_line() -> None:
    console, lines = console_after(b"one\nhost login: ")
    console.finish()
    assert lines == ["one", "host login:"]
    assert console.tail == ("one", "host login:")


def test_a_line_without_end_does_not_grow_for_ever() -> None:
    _, lines = console_after(*[b"x" * 1000] * 100)
    assert max(map(len, lines)) < 20_000


@pytest.mark.parametrize(("output", "meaning"), [
    (b"[    2.1] Kernel panic - not syncing: VFS: Unable to mount root fs\n", "panicked"),
    (b"grub rescue> ", "GRUB"),
    (b"No bootable device.\n", "firmware"),
    (b"(initramfs) ", "initramfs"),
    (b"Shell> ", "firmware"),
])
def test_a_dead_end_is_known(output: bytes, meaning: str) -> None:
    assert meaning in console_after(output)[0].dead_end


def test_talk_about_an_initramfs_is_no_dead_end() -> None:
    assert not console_after(b"Unpacking initial RAM disk (initramfs) image\n")[0].dead_end


def test_clean_keeps_tabs_and_drops_colours() -> None:
    assert clean(b"\x1b[1;31ma\tb\x1b[0m  ") == "a\tb"
