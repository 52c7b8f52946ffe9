"""Trove 13's manager of PostgreSQL with today's psycopg2."""

from trove.common import exception
from trove.common.i18n import _
from trove.guestagent.datastore.experimental.postgresql import manager, service

from classic_datastores import statements


def _execute_stmt(self, statement, identifiers, data_values, fetch, autocommit=False):
    """What Trove's own method of this name did with psycopg2 before 2.9."""
    if not statement:
        raise exception.UnprocessableEntity(_("Invalid SQL statement: %s") % statement)
    return statements.run(self._connection_args, self._bind(statement, identifiers), data_values, fetch=fetch)


service.PostgresConnection._execute_stmt = _execute_stmt


class Manager(manager.Manager):
    """Trove's own."""
