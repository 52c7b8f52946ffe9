"""pins.py MANIFEST: print apt's preferences that hold every package at the version of the manifest."""

import json
import re
import sys

PLAIN = re.compile(r"[a-zA-Z0-9.+~:_-]+")


def main() -> None:
    path = sys.argv[1]
    try:
        with open(path, encoding="utf-8") as file:
            packages = json.load(file)["packages"]
        pins = [(entry["package"], entry["version"]) for entry in packages
                if entry.get("status", "ii").strip() in ("ii", "hi")]
    except (ValueError, KeyError, TypeError, AttributeError):
        sys.exit(f"apt-preferences: {path} is not a manifest of dpkg: "
                 '{"packages": [{"package": NAME, "version": VERSION}]}')
    for name, version in pins:
        if not (PLAIN.fullmatch(name) and PLAIN.fullmatch(version)):
            sys.exit(f"apt-preferences: {path}: {name!r} {version!r} cannot be a package and its version")
        print(f"Package: {name}\nPin: version {version}\nPin-Priority: 1001\n")


main()
