"""Sourcing environment.d: a bash of the phase's own reads the files and tells what they left (C-087 to C-095).

The bash that sources is the target's in target phases. It reports, on descriptor 3: `E<name>=<value>` for each
exported variable and function, `O<flags>` (the shell's `$-`), `D<directory>` and `U<umask>`, each ended by a NUL.
Scripts then run as children of the engine with that environment: just as if that bash had started them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

SOURCE_PROGRAM = r"""
set -eu -o pipefail
__pydib_one() {
    printf '%s\n' "dib-run-parts Sourcing environment file $1" >&2
}
for __pydib_file in "$@"; do
    __pydib_one "$__pydib_file"
    case "$-" in *x*) __pydib_trace=on ;; *) __pydib_trace=off ;; esac
    set -x
    . "$__pydib_file"
    { [ "$__pydib_trace" = on ] || set +x; } 2>/dev/null
done
{ set +x; } 2>/dev/null
{
    IFS=$' \t\n'
    printf 'O%s\0D%s\0U%s\0' "$-" "$PWD" "$(umask)"
    unset __pydib_file __pydib_trace
    for __pydib_name in $(compgen -e); do
        [ -z "${!__pydib_name+set}" ] || printf 'E%s=%s\0' "$__pydib_name" "${!__pydib_name}"
    done
    unset -f __pydib_one
    while read -r _ _ __pydib_name; do
        __pydib_body="$(declare -f "$__pydib_name")"
        printf 'EBASH_FUNC_%s%%%%=() {%s\0' "$__pydib_name" "${__pydib_body#*\{}"
    done < <(declare -Fx)
    printf 'F\0'
} >&3
"""


@dataclass(frozen=True, kw_only=True)
class Sourced:
    """What sourcing left. `errexit` is false when a file said `set +e`: failing scripts are then passed over (C-093).

    `umask` is None when it was not told.
    """

    env: Mapping[str, str]
    cwd: str
    errexit: bool = True
    umask: int | None = None


def source_argv(files: Sequence[str]) -> list[str]:
    """The command that sources `files`, paths as the sourcing shell sees them."""
    return ["bash", "-c", SOURCE_PROGRAM, "pydib", *files]


def read_answer(answer: bytes) -> Sourced | None:
    """The answer on descriptor 3; None when sourcing ended before all files were read (`exit` in a file)."""
    records = answer.decode("utf-8", "surrogateescape").split("\0")
    if "F" not in records[-2:]:
        return None
    env: dict[str, str] = {}
    single: dict[str, str] = {}
    for record in records[:-2]:
        if record.startswith("E"):
            name, _, value = record[1:].partition("=")
            env[name] = value
        elif record:
            single[record[0]] = record[1:]
    env.pop("BASH_FUNC___pydib_one%%", None)
    return Sourced(env=env, cwd=single.get("D", "/"), errexit="e" in single.get("O", "e"),
                   umask=int(single["U"], 8) if single.get("U") else None)
