"""What all tests of one run share: the keeper, the directory that fake roots lie in, and layers of stand-ins."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache, cached_property
from itertools import count
from pathlib import Path

from pydib.host.keeper import Keeper, fast_directory


class Session:
    """Made when the first test needs it.

    Attributes:
        layers: directories that many tests use as a layer below /usr, by what is in them.
    """

    def __init__(self) -> None:
        place = fast_directory(Path(tempfile.gettempdir()))
        self.directory = Path(tempfile.mkdtemp(prefix="pydib-testkit-", dir=place))
        self.directory.chmod(0o755)
        self._numbers = count(1)
        self._network: Keeper | None = None
        self.layers: dict[object, Path] = {}
        atexit.register(self.close)  # a run of pytest inside of a test may lose its session

    @cached_property
    def keeper(self) -> Keeper:
        """The keeper whose scripts have no network.

        Raises:
            KeeperRefused: this machine makes no namespaces.
        """
        return Keeper(self.directory)

    def keeper_with_network(self) -> Keeper:
        """The keeper whose scripts see the host's network."""
        if self._network is None:
            self._network = Keeper(self.new_directory("network"), network=True)
        return self._network

    def new_directory(self, name: str) -> Path:
        """An empty directory for one purpose."""
        directory = self.directory / f"{name}-{next(self._numbers)}"
        directory.mkdir(mode=0o755)
        return directory

    def remove(self, directory: Path) -> None:
        """Remove a directory; files in it may belong to others."""
        if "keeper" in self.__dict__:
            self.keeper.remove(directory)
        else:
            shutil.rmtree(directory, ignore_errors=True)

    def close(self) -> None:
        """End the keepers, and remove everything."""
        atexit.unregister(self.close)
        if self._network is not None:
            self._network.close()
        if "keeper" in self.__dict__:
            self.keeper.close()
        shutil.rmtree(self.directory, ignore_errors=True)


@cache
def session() -> Session:
    """The session of this process."""
    return Session()


def end_session() -> None:
    """Close the session, if there was one."""
    if session.cache_info().currsize:
        session().close()
        session.cache_clear()
