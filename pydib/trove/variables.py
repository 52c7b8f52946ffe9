"""The variables that the elements of Trove read, each with its option. Pure.

They are those of Trove's own build scripts (early 2018). Each option falls back on the variable of that name; forms of
a path that are escaped for sed are computed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydib.errors import RecipeError

Agent = str
AGENTS: tuple[Agent, ...] = ("build", "sync", "none")
TROVE_VERSION = "26.0.0"
"""The agent's release that is taken if none is named; the element guest-agent has the same default."""


@dataclass(frozen=True, kw_only=True)
class Variable:
    """One of them: `option` sets it, `default` is its value when nobody does, `needed_for` the agents that need one."""

    name: str
    option: str
    help: str
    default: str = ""
    needed_for: tuple[Agent, ...] = ()
    example: str = ""


VARIABLES = (
    Variable(name="GUEST_USERNAME", option="--guest-user", default="trove", help="User under which the agent runs."),
    Variable(name="GUEST_LOGDIR", option="--guest-logdir", default="/var/log/trove/", help="Where the agent logs."),
    Variable(name="HOST_USERNAME", option="--host-user", help="Your user on this machine."),
    Variable(name="HOST_SCP_USERNAME", option="--scp-user", needed_for=("sync",), example="ubuntu",
             help="User of the controller from whom the agent is fetched."),
    Variable(name="CONTROLLER_IP", option="--controller-ip", needed_for=("sync",), example="10.0.0.1",
             help="Address of the controller, as guests see it."),
    Variable(name="PATH_TROVE", option="--trove-path", needed_for=("sync",), example="/opt/stack/trove",
             help="Trove's source tree on the controller."),
    Variable(name="TROVESTACK_SCRIPTS", option="--trovestack-scripts", help="Trove's integration/scripts."),
    Variable(name="SSH_DIR", option="--ssh-dir", needed_for=("sync",), example="~/.ssh",
             help="Folder with the key pair for --agent sync."),
    Variable(name="TROVE_SSH_PORT", option="--ssh-port", default="22", help="The controller's port of ssh."),
    Variable(name="DATASTORE_PKG_LOCATION", option="--package-location",
             help="The database's package, or a folder of packages, for those that nobody may download."),
    Variable(name="TROVE_CONTAINER_IMAGES", option="--containers",
             help="Run the database in a container, as Trove's own managers do: its images, an archive as `docker "
                  "save` writes it, or a folder of such."),
    Variable(name="BRANCH_OVERRIDE", option="--branch", default="default", help="Branch of OpenStack."),
    Variable(name="DIB_CLOUD_INIT_DATASOURCES", option="--datasources", default="ConfigDrive",
             help="Where cloud-init looks for its data."),
    Variable(name="DIB_APT_CONF_DIR", option="--apt-conf-dir", help="Folder with apt's configuration for the image."),
    Variable(name="DIB_CLOUD_INIT_ETC_HOSTS", option="--etc-hosts", default="localhost",
             help="cloud-init's manage_etc_hosts: without the own name in /etc/hosts each sudo asks a name server."),
    Variable(name="TROVE_VERSION", option="--trove-version", default=TROVE_VERSION, help="Release of the agent."),
)


def environment_for(given: Mapping[str, str | None], environment: Mapping[str, str], *, datastore: str, distro: str,
                    release: str, agent: Agent) -> dict[str, str]:
    """`environment` with every variable that Trove's elements read.

    Args:
        given: values of options, by the variable's name; None where the option was not used.
        environment: the caller's.

    Raises:
        RecipeError: values that are needed are missing: all of them, in one message.
    """
    found = {variable.name: given.get(variable.name) or environment.get(variable.name) or variable.default
             for variable in VARIABLES}
    found["HOST_USERNAME"] = found["HOST_USERNAME"] or environment.get("USER", "")
    missing = [variable for variable in VARIABLES if agent in variable.needed_for and not found[variable.name]]
    if missing:
        raise RecipeError(
            f"--agent {agent} needs " + ", ".join(f"{v.option} ({v.name})" for v in missing),
            where=f"{datastore} on {distro}",
            hint="for example " + " ".join(f"{v.option} {v.example}" for v in missing))
    if agent == "sync":
        _check_key(Path(found["SSH_DIR"]).expanduser())
    set_values = {name: value for name, value in found.items() if value}
    return {**environment, **set_values, "SERVICE_TYPE": datastore, "DISTRO": distro, "RELEASE": release,
            "DIB_RELEASE": release, "TROVE_AGENT": agent,
            "ESCAPED_PATH_TROVE": escaped(found["PATH_TROVE"]), "ESCAPED_GUEST_LOGDIR": escaped(found["GUEST_LOGDIR"])}


def escaped(path: str) -> str:
    r"""A path as the right side of sed's `s/.../.../`.

    >>> escaped("/opt/stack")
    '\\/opt\\/stack'
    """
    return path.replace("\\", "\\\\").replace("/", "\\/").replace("&", "\\&")


def _check_key(folder: Path) -> None:
    for name in ("id_rsa", "id_rsa.pub"):
        if not (folder / name).is_file():
            raise RecipeError(f"there is no {name} in {folder}, which --agent sync would put into the image",
                              where="--ssh-dir",
                              hint=f"make a key pair for this alone: ssh-keygen -t rsa -N '' -f {folder / 'id_rsa'}")
