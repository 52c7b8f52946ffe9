"""MariaDB under its own name."""

from packaged_datastores.mysql import Manager

__all__ = ["Manager"]
