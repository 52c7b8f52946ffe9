"""Reading a serial console: bytes in, lines out, and the verdict. Pure."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable

TAIL_LINES = 40

_CONTROL = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # colours and cursor movements (ECMA-48, CSI)
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # window titles (OSC)
    r"|\x1b[ -/]*[0-~]"  # other escapes
    r"|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
_LINE_END = re.compile(rb"\r*\n|\r(?![\r\n])")
_LOGIN = re.compile(r"login: ?(?:\[ *\d+\.\d+\].*)?$")
_LAST_LOGIN = re.compile(r"\bLast login:")
_LONGEST_LINE_BYTES = 1 << 14
DEAD_ENDS = {
    re.compile(r"Kernel panic - not syncing"): "its kernel panicked",
    re.compile(r"^grub rescue>"): "GRUB did not find its files",
    re.compile(r"^No bootable device"): "the firmware found nothing to boot",
    re.compile(r"^\(initramfs\)"): "its initramfs did not find the root filesystem",
    re.compile(r"^(BdsDxe: No bootable option|Shell> ?$)"): "the firmware found nothing to boot",
}
"""What a console says when nothing more will come, and what that means."""


def clean(raw: bytes) -> str:
    """A piece of console output as plain text: no colours, no control characters."""
    return _CONTROL.sub("", raw.decode("utf-8", "replace")).rstrip()


class Console:
    """What a machine said so far.

    Args:
        expect: text that must come; None waits for a login prompt, `login:` at the end of a line.
        on_line: gets each line that holds anything when it is complete, cleaned.

    A prompt is a line without an end, so the unfinished last line counts as well.
    """

    def __init__(self, *, expect: str | None = None, on_line: Callable[[str], None] = lambda line: None) -> None:
        self._expect = expect
        self._on_line = on_line
        self._rest = b""
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self.reached = False
        self.dead_end = ""

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the console."""
        self._rest += piece
        whole = self._rest.rstrip(b"\r")
        returns = self._rest[len(whole):]  # whether they end a line is told by the byte after them
        *lines, self._rest = _LINE_END.split(whole)
        if len(self._rest) > _LONGEST_LINE_BYTES:
            lines, self._rest = [*lines, self._rest], b""
        for raw in lines:
            line = clean(raw)
            self._judge(line)
            self._keep(line)
        self._judge(clean(self._rest))
        self._rest += returns

    def finish(self) -> None:
        """The console is over: its unfinished last line is a line, too."""
        if line := clean(self._rest):
            self._keep(line)
        self._rest = b""

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines that hold anything, oldest first."""
        rest = clean(self._rest)
        return (*self._tail, rest) if rest else tuple(self._tail)

    def _keep(self, line: str) -> None:
        if line:
            self._tail.append(line)
            self._on_line(line)

    def _judge(self, line: str) -> None:
        if self._is_expected(line):
            self.reached = True
        for sign, meaning in DEAD_ENDS.items():
            if sign.search(line):
                self.dead_end = self.dead_end or meaning

    def _is_expected(self, line: str) -> bool:
        if self._expect is not None:
            return self._expect in line
        return bool(_LOGIN.search(line)) and not _LAST_LOGIN.search(line)
