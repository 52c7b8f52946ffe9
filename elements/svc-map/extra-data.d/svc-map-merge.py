"""Print the services of all elements as lines `NAME: REAL`, for the distribution in DISTRO_NAME.

Reads IMAGE_ELEMENT_YAML (element: path). Not a hook: 10-merge-svc-map-files runs it.
"""

import os
import sys

import yaml

FAMILIES = {
    "debian": ("debian", "ubuntu"),
    "gentoo": ("gentoo",),
    "redhat": ("almalinux", "centos", "fedora", "openeuler", "rhel", "rocky"),
    "suse": ("opensuse",),
}


def real_name(service, names, distro):
    """The service's name in the distribution: its own entry, its family's, the default, or the name itself."""
    if not isinstance(names, dict):
        raise ValueError(f"service {service} needs names by distribution, as in {{debian: name, default: name}}")
    families = [family for family, members in FAMILIES.items() if distro in members]
    for key in (distro, *families, "default"):
        if names.get(key):
            return str(names[key])
    return service


def services_of(element, path, distro):
    """Names and real names of the services in one element's file.

    Raises:
        ValueError: the file is not what it should be; the text says why.
    """
    try:
        with open(os.path.join(path, "svc-map"), encoding="utf-8") as source:
            content = yaml.safe_load(source) or {}
    except FileNotFoundError:
        return {}
    except yaml.YAMLError as error:
        raise ValueError(f"element {element}: svc-map is not valid YAML: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"element {element}: svc-map must map services to names by distribution")
    return {str(service): real_name(service, names, distro) for service, names in content.items()}


def merge(elements, distro):
    """The services of all elements.

    Raises:
        ValueError: two elements name the same service, or a file is wrong.
    """
    merged, owners = {}, {}
    for element, path in sorted(elements.items()):
        for service, name in services_of(element, path, distro).items():
            if service in merged:
                raise ValueError(f"service {service} is in the svc-map of both {owners[service]} and {element}")
            merged[service], owners[service] = name, element
    return merged


def main():
    """Print the merged map; exit code 1 and one line when it cannot be made."""
    try:
        merged = merge(yaml.safe_load(os.environ["IMAGE_ELEMENT_YAML"]) or {}, os.environ.get("DISTRO_NAME", ""))
    except ValueError as error:
        sys.exit(f"svc-map: {error}")
    if merged:
        yaml.safe_dump(merged, sys.stdout, default_flow_style=False, width=1000)


if __name__ == "__main__":
    main()
