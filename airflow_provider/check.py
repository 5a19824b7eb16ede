"""``python -m airflow_provider.check CONN_ID``: test a connection; one sentence, and an exit code."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from typing import NoReturn


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(1, f"{self.prog}: {message}\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Test a connection and print one sentence; return 0 when it works, else 1.

    :param arguments: arguments of the command line; None means those of the process.
    """
    parser = _Parser(
        prog="python -m airflow_provider.check",
        description="Test an Airflow connection of this provider: one sentence, exit code 0 or 1.",
    )
    parser.add_argument("conn_id", metavar="CONN_ID", help="id of the connection")
    conn_id = parser.parse_args(arguments).conn_id
    from airflow_provider.connection_hooks import (
        UnknownConnectionError,
        escape_output,
        find_connection,
        hook_class,
        logging_from,
        read_metadata_database,
    )
    from airflow_provider.errors import one_line

    escape_output()
    read_metadata_database()
    try:
        with logging_from(logging.ERROR):
            connection = find_connection(conn_id)
            works, sentence = hook_class(str(connection.conn_type))(conn_id).test_connection()
    except UnknownConnectionError as error:
        works, sentence = False, str(error)
        for note in getattr(error, "__notes__", ()):
            print(note, file=sys.stderr)
    print(one_line(sentence))
    return 0 if works else 1


if __name__ == "__main__":
    sys.exit(main())
