"""Print a line NAME PACKAGE... for each dracut module that the YAML on stdin names; the defaults for none."""

import re
import sys

import yaml

DEFAULT = [{"name": "crypt", "packages": ["cryptsetup"]}, {"name": "lvm", "packages": ["lvm2"]}]
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_+.-]*")


def main() -> None:
    try:
        for module in yaml.safe_load(sys.stdin.read()) or DEFAULT:
            words = [module["name"], *(module.get("packages") or [])]
            if not all(isinstance(word, str) and PLAIN.fullmatch(word) for word in words):
                raise ValueError(words)
            print(*words)
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError):
        sys.exit("dracut-regenerate: DIB_DRACUT_ENABLED_MODULES is not a YAML list such as "
                 "[{name: lvm, packages: [lvm2]}]")


main()
