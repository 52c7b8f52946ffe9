"""Every error that pydib raises on purpose, drawn once.

An error says what happened, to what (`where`), and what to do next (`hint`).
Only `cli/` turns one into text and an exit code.

    PydibError                      exit code 1
      InputError                    the user's input is wrong
        ElementError                elements or ELEMENTS_PATH
        RecipeError                 options, environment, YAML files
        BlockDeviceConfigError      the block-device YAML
      ToolMissing                   a program or a capability of the machine is not there
      EngineError                   a step of the engine failed
        CommandFailed               a program that the engine started failed
        BlockDeviceError            partitioning, mkfs, mount
        ImageError                  conversion, publishing
      HookFailed                    exit code of the script (contract C-027)
      ShellEnded                    exit code 0: the build was to lead to a shell only
      Interrupted                   128 + signal number
"""

from __future__ import annotations

from collections.abc import Sequence


class PydibError(Exception):
    """Something that ends the build, with one clear message.

    Args:
        what: what happened, one sentence without a final full stop.
        where: to what it happened: a path, an element, a line of a file.
        hint: what to do next.
    """

    exit_code: int = 1

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        lines = [self.what]
        if self.where:
            lines.append(f"  in: {self.where}")
        if self.hint:
            lines.append(f"  next: {self.hint}")
        return "\n".join(lines)


class InputError(PydibError):
    """What the user gave cannot be built."""


class ElementError(InputError):
    """An element, or ELEMENTS_PATH, is wrong."""


class ElementNotFound(ElementError):
    """No element, and no provider, of that name (C-056)."""


class AlreadyProvided(ElementError):
    """Two elements for one name (C-055, C-059)."""


class NoOperatingSystem(ElementError):
    """Nothing provides `operating-system` (C-060)."""


class HookConflict(ElementError):
    """Two elements bring the same file into one directory of the hook tree (C-074)."""


class RecipeError(InputError):
    """An option, an environment variable or a build file is wrong."""


class PhaseError(InputError):
    """A phase file is wrong."""


class BlockDeviceConfigError(InputError):
    """The block-device configuration is wrong."""


class ToolMissing(PydibError):
    """A program, or something of the kernel's, is not there."""


class EngineError(PydibError):
    """A step of the engine itself failed."""


class CommandFailed(EngineError):
    """A program that the engine started ended with an error.

    `argv` is the command, `code` its exit code (negative: killed by that signal), `output` the end of what it
    printed.
    """

    def __init__(self, argv: Sequence[str], code: int, output: str, *, where: str = "", hint: str = "") -> None:
        shown = " ".join(argv)
        tail = "\n".join("    " + line for line in output.strip().splitlines()[-10:])
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        super().__init__(f"`{shown}` {how}" + (f"\n{tail}" if tail else ""), where=where, hint=hint)
        self.argv = tuple(argv)
        self.code = code
        self.output = output


class BlockDeviceError(EngineError):
    """Partitioning, making or mounting a filesystem failed."""


class ImageError(EngineError):
    """Writing or publishing an output failed."""


class SandboxError(EngineError):
    """The build's namespaces could not be made or entered."""


class HookFailed(PydibError):
    """A script of an element failed; the build ends with the script's own exit code (C-027).

    Args:
        script: path of the script in the hook tree, for example `install.d/20-redis`.
        code: its exit code as a shell sees it (128 + signal when it was killed).
        element: the element it came from, if known.
        tail: the last lines that it printed.
    """

    def __init__(self, *, phase: str, script: str, code: int, element: str = "", path: str = "",
                 tail: Sequence[str] = (), hint: str = "") -> None:
        origin = f" of element {element}" if element else ""
        lines = "\n".join("    " + line for line in tail)
        super().__init__(
            f"{script}{origin} failed with exit code {code} in phase {phase}" + (f"\n{lines}" if lines else ""),
            where=path, hint=hint,
        )
        self.phase = phase
        self.script = script
        self.exit_code = code
        self.element = element


class ShellEnded(PydibError):
    """The shell that a build was to lead to has ended; so does the build, without outputs."""

    exit_code = 0


class Interrupted(PydibError):
    """A signal asked the build to end."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(f"interrupted by signal {signal_number}; everything was cleaned up")
        self.exit_code = 128 + signal_number
