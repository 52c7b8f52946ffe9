"""Where we differ from diskimage-builder on purpose: each difference with its reason.

`applies` recognises a difference as a whole; `loosen` takes it out of both results, so that several at once, and
nothing else, are forgiven.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.contract.compare import Betterment, Loosen

# --- resolver ---------------------------------------------------------------------------------------------------

MISSING, CONFLICT = {"error": "MissingElementException"}, {"error": "AlreadyProvidedException"}


def _named_twice(case: Any, theirs: Any, ours: Any) -> bool:
    return len(set(case["wanted"])) < len(case["wanted"]) and ours in theirs["each once"]


def _two_mistakes(case: Any, theirs: Any, ours: Any) -> bool:
    return ours == CONFLICT and MISSING in theirs["each once"]


RESOLVER: tuple[Betterment, ...] = (
    *(Betterment(family, "named twice",
                 "a name given twice counts once, also when it provides something (C-055)", _named_twice)
      for family in ("resolver, real elements", "resolver, generated elements")),
    *(Betterment(family, "two mistakes",
                 "of several mistakes the conflict is told first: a missing element might still be provided (C-061)",
                 _two_mistakes)
      for family in ("resolver, real elements", "resolver, generated elements")),
    Betterment("elements path", "empty entries", "an empty entry of ELEMENTS_PATH is ignored (C-050)",
               lambda case, theirs, ours: "" in case.split(":") and "elements" in ours),
    Betterment("defaults", "each once", "a name given twice counts once (C-055)",
               lambda case, theirs, ours: list(dict.fromkeys(theirs)) == ours),
)

# --- hook tree and run-parts ------------------------------------------------------------------------------------


def _top_level_links(case: Any, theirs: Any, ours: Any) -> bool:
    return isinstance(theirs, dict) and all(
        "/" not in path and theirs[path] and theirs[path][0] == "link" and ours[path] and ours[path][0] == "file"
        for path in theirs)


def _has_blank(name: str) -> bool:
    return bool(set(name) & set(" \t"))


def _blank_names(case: Any, theirs: Any, ours: Any) -> bool:
    return any(map(_has_blank, case[1])) and [name for name in ours[0] if not _has_blank(name)] == [
        name for name in theirs[0] if name in case[1]]


LINKS = ("a link at an element's top level is copied as what it leads to: as a link it dangles in the merged tree, and "
         "cp writes a later element's file through it")

HOOKS: tuple[Betterment, ...] = (
    Betterment("hook tree, generated elements", "links at the top", LINKS, _top_level_links),
    Betterment("hook tree, odd names", "links at the top", LINKS, _top_level_links),
    Betterment("hook tree, generated elements", "clashing links",
               "one name in one folder of two elements is refused, also when the first is a link to nothing (C-074)",
               lambda case, theirs, ours: ours == "refused" and "duplicated hook" in case["told"]),
    Betterment("hook tree, odd names", "odd names", "names with blanks and glob characters are copied (C-077)",
               lambda case, theirs, ours: (theirs, ours) == ("refused", "a tree")),
    Betterment("run-parts, names and order", "names with blanks",
               "with a RUN_PARTS_REGEX that allows blanks a name stays whole", _blank_names),
    Betterment("run-parts, environment.d order", "no valid name",
               "environment.d without a valid name is as good as none (C-094)",
               lambda case, theirs, ours: (theirs, ours) == (([], 1), ([], 0))),
    Betterment("run-parts, environment.d order", "backslash",
               "a name with a backslash is not valid: it was never meant to be (C-087)",
               lambda case, theirs, ours: [name for name in theirs[0] if "\\" not in name] == ours[0]),
)

# --- block devices and sizes ------------------------------------------------------------------------------------


def _in(*keys: str) -> Callable[[Callable[[Any], Any]], Loosen]:
    """A change of these keys of both results, where they differ."""
    def with_change(change: Callable[[Any], Any]) -> Loosen:
        def loosen(theirs: Any, ours: Any) -> tuple[Any, Any]:
            if not isinstance(theirs, dict):
                return theirs, ours
            changed = [{key: change(value) if key in keys else value for key, value in each.items()}
                       for each in (theirs, ours)]
            return changed[0], changed[1]
        return loosen
    return with_change


def _does_not_fit(case: Any, theirs: Any, ours: Any) -> bool:
    told = "are left" in case["ours"] or "would be empty" in case["ours"]
    return (theirs, ours) == ("made", "refused") and told


def _without_uuid(commands: list[list[str]]) -> list[list[str]]:
    cut = ("mkfs.vfat", "mkfs.btrfs")
    return sorted([word for at, word in enumerate(words) if words[0] not in cut or
                   not (word in ("-U", "-i") or words[at - 1] in ("-U", "-i"))] for words in commands)


def _swap_label_only(commands: list[list[str]]) -> list[list[str]]:
    return sorted(["mkswap", *words[words.index("-L"):]] if words[0] == "mkswap" else words for words in commands)


def _single_hyphens(value: Any) -> Any:
    return json.loads(json.dumps(value).replace("--test--vg", "-test-vg").replace("vg-lv--rest", "vg-lv-rest"))


def _root_label(theirs: Any, ours: Any) -> tuple[Any, Any]:
    if not isinstance(theirs, dict) or theirs.get("answers", {}).get("root-label", "") is not None:
        return theirs, ours
    return {**theirs, "answers": {**theirs["answers"], "root-label": ours["answers"]["root-label"]}}, ours


FILES, GENERATED = DISKS = ("block device, files", "block device, generated")

BLOCK_DEVICES: tuple[Betterment, ...] = (
    *(Betterment(family, "does not fit",
                 "a partition that does not fit is refused; diskimage-builder writes an mbr that reaches behind the "
                 "end of the disk, and fails in mkfs", _does_not_fit) for family in DISKS),
    *(Betterment(family, "blanks in labels", "blanks are escaped in fstab, as fstab(5) asks for",
                 loosen=_in("fstab")(lambda text: text.replace("\\040", " "))) for family in DISKS),
    *(Betterment(family, "uuid", "a uuid is given to vfat and btrfs, too (C-220)",
                 loosen=_in("made")(_without_uuid)) for family in DISKS),
    Betterment(GENERATED, "boot label", "DIB_BOOT_LABEL is the label as it stands on disk: FAT has capitals",
               loosen=_in("answers")(lambda found: {**found, "boot-label": found["boot-label"].upper()})),
    Betterment(GENERATED, "options of swap", "mkswap gets the options that the configuration has",
               loosen=_in("made")(_swap_label_only)),
    Betterment(FILES, "refused early", "what cannot be right is refused before anything is made",
               lambda case, theirs, ours: "blockdev/wrong/" in case["name"] and (theirs, ours) == ("made", "refused")),
    Betterment(FILES, "root label", "a root filesystem of another name, without a label, is labelled with its name "
               "instead of ending the build (C-213)", loosen=_root_label),
    Betterment(FILES, "doubled hyphens", "device-mapper doubles hyphens in names of devices, and so do we",
               loosen=_in("devices", "made", "mounted")(_single_hyphens)),
    Betterment(FILES, "plain values are text",
               "YAML does not turn the label `no` or the size 4096 into something else (C-206, C-214)",
               lambda case, theirs, ours: (theirs, ours) == ("refused", "made")
               and case["error"].startswith("TypeError")),
    Betterment(FILES, "types are text", "YAML does not turn the type 0700 into an octal number",
               lambda case, theirs, ours: "gpt-types-by-code-and-guid" in case["name"] and list(ours) == ["tables"]),
    Betterment(FILES, "sectors of 4 KiB", "an mbr of a disk with other sectors counts in those",
               lambda case, theirs, ours: "mbr-with-sectors-of-4-kib" in case["name"] and list(ours) == ["tables"]),
    Betterment(FILES, "mount points", "`/boot/` is `/boot`, also for order and labels; words of options are read "
               "as a shell reads them", lambda case, theirs, ours: "tree-of-everything.yaml" in case["name"]),
    Betterment("image size", "resize",
               "`-E resize=` is given to ext filesystems only: mkfs of others refuses it (C-225)",
               loosen=_in("options")(lambda pairs: [pair for pair in pairs if pair[0] != "-E"])),
)

# --- helpers and the YAML command -------------------------------------------------------------------------------


def _only_removals_differ(theirs: Any, ours: Any) -> bool:
    """Whether the same is installed; what is removed again may differ."""
    if "refused" in (theirs, ours):
        return False
    installs = [{phase: lists.get("install") for phase, lists in each.items() if lists.get("install")}
                for each in (theirs, ours)]
    return installs[0] == installs[1]


def _of_a_larger_family(case: Any, theirs: Any, ours: Any) -> bool:
    if case["distro"] not in ("rocky", "almalinux", "openeuler", "gentoo") or "refused" in (theirs, ours):
        return False
    return all(name == theirs[service] or name.startswith(("redhat-", "gentoo-")) for service, name in ours.items())


def _each_word_once(theirs: Any, ours: Any) -> tuple[Any, Any]:
    if "refused" in (theirs, ours):
        return theirs, ours
    once = [[(program, list(dict.fromkeys(words)), env) for program, words, env in each] for each in (theirs, ours)]
    return once[0], once[1]


PACKAGES = "package-installs, generated"

HELPERS: tuple[Betterment, ...] = (
    Betterment(PACKAGES, "blanks, empty files, overridden elements",
               "`arch: amd64, arm64` means both; a file may be empty; only the first element on the path counts "
               "(C-242, C-245, C-157)", lambda case, theirs, ours: theirs["corrected"] == ours),
    Betterment(PACKAGES, "removals",
               "a package that is wanted stays, and one that is not goes, in whatever order elements come (C-244)",
               lambda case, theirs, ours: _only_removals_differ(theirs["corrected"], ours)),
    Betterment(PACKAGES, "arch and not-arch",
               "both at once are refused, also where the install type leaves the package out",
               lambda case, theirs, ours: ours == "refused" and theirs["corrected"] != "refused"),
    Betterment("pkg-map", "no distribution", "with --missing-ok no distribution is needed",
               lambda case, theirs, ours: not case["env"] and "--missing-ok" in case["argv"] and ours[0] == 0),
    Betterment("svc-map", "families",
               "the families are those of pkg-map: rocky, almalinux and openeuler are redhat's, gentoo is one (C-255)",
               _of_a_larger_family),
    Betterment("YAML command lines", "each element once", "an element that two fragments name counts once (C-039)",
               loosen=_each_word_once),
)

BETTERMENTS: tuple[Betterment, ...] = (*RESOLVER, *HOOKS, *BLOCK_DEVICES, *HELPERS)
