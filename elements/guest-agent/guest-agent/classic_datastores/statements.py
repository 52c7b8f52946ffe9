"""Statements for PostgreSQL, each on a connection of its own."""

import contextlib

import psycopg2


def run(connection_args, statement, values=None, *, fetch=False):
    """Run `statement` outside of transactions; gives its rows if they are wanted.

    Since psycopg2 2.9 `with connection` begins a transaction even where autocommit is on, and PostgreSQL refuses CREATE
    DATABASE in one. Nor does `with connection` close it.
    """
    with contextlib.closing(psycopg2.connect(**connection_args)) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(statement, values)
            return cursor.fetchall() if fetch else None
