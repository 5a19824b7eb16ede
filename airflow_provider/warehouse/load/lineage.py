"""Lineage of a load: the table, as an output of Airflow's hook lineage."""

from __future__ import annotations

from airflow_provider.warehouse.load.databases.base import Database


def report_table(database: Database, conn_id: str, path: str) -> None:
    """Report the table to Airflow's hook lineage, by the URI that providers use, without a login.

    :param database: the database.
    :param conn_id: id of its connection.
    :param path: the table's path; empty for none.
    """
    scheme, default_port = database.uri
    if not path or not scheme:
        return
    try:
        from airflow.providers.common.compat.lineage.hook import get_hook_lineage_collector
    except ImportError:
        return
    from airflow.sdk import BaseHook

    connection = BaseHook.get_connection(conn_id)
    place = f"{connection.host or 'localhost'}:{connection.port or default_port}"
    uri = f"{scheme}://{place}/{path}"
    collector = get_hook_lineage_collector()  # type: ignore[no-untyped-call]
    collector.add_output_asset(context=database.hook, uri=uri)
