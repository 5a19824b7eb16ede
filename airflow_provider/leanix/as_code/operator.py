"""Operator that stores a processor configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider.core.asset_events import add_to_outlet_events
from airflow_provider.leanix import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow.sdk import Context

_MAX_DIFFERENCES = 100
"""Maximum differences of a configuration in the operator's result."""


class LeanIXPutConfigurationOperator(BaseOperator):
    """Create or replace a processor configuration of the workspace.

    Nothing is written when the stored configuration is the same. The log names the fields that differ, not
    their values.

    :param configuration: the configuration, or the path of a JSON file that contains it. A configuration
        with credentials belongs into a file, because Airflow shows a DAG's arguments in its UI.
    :param leanix_conn_id: id of the connection.

    Returns ``{"configuration": [...], "changed": bool, "differences": [...]}``: the five fields of its key,
    and the fields that were added (``+``), removed (``-``) or changed (``~``).
    """

    template_fields: Sequence[str] = ("configuration", "leanix_conn_id")
    ui_color = "#d9e8f6"

    def __init__(
        self,
        *,
        configuration: Mapping[str, Any] | str,
        leanix_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.configuration = configuration
        self.leanix_conn_id = leanix_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Compare the configuration with the stored one, and write it when they differ."""
        from airflow_provider.leanix.configurations import differences, key_of, read_configuration
        from airflow_provider.leanix.hooks import LeanIXHook

        wanted = read_configuration(self.configuration)
        key = key_of(wanted)
        with LeanIXHook(self.leanix_conn_id) as hook:
            stored = hook.list_configurations(connector_type=key[0], connector_id=key[1])
            found = next((other for other in stored if key_of(other) == key), {})
            changes = list(differences(wanted, found))
            if changes:
                hook.put_configuration(wanted)
        self.log.info("Configuration %s: %s", "/".join(key), ", ".join(changes) or "no differences")
        result = {
            "configuration": list(key),
            "changed": bool(changes),
            "differences": changes[:_MAX_DIFFERENCES],
        }
        return add_to_outlet_events(context, self.outlets, result)
