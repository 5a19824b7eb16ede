"""The task that keeps a LeanIX processor configuration as a file says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider.core.asset_events import tell
from airflow_provider.leanix.hooks import LeanIXHook

if TYPE_CHECKING:
    from airflow.sdk import Context


class LeanIXPutConfigurationOperator(BaseOperator):
    """Make the workspace's processor configuration what a file, or the DAG, says.

    Nothing is written when there is no difference. The log names the fields that differ, not their values.

    :param configuration: the configuration, or the path of a JSON file that holds it. One with credentials in
        it belongs into a file: what stands in the DAG, Airflow shows in its UI.
    :param leanix_conn_id: the connection.

    Returns ``{"configuration": [...], "changed": bool, "differences": [...]}``: the five fields of its key,
    and the fields that were added (``+``), removed (``-``) or given another value (``~``).
    """

    template_fields: Sequence[str] = ("configuration", "leanix_conn_id")
    ui_color = "#d9e8f6"

    def __init__(
        self,
        *,
        configuration: Mapping[str, Any] | str,
        leanix_conn_id: str = LeanIXHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.configuration = configuration
        self.leanix_conn_id = leanix_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Compare, and write when something differs."""
        from airflow_provider.leanix.configurations import differences, key_of, read_configuration

        wanted = read_configuration(self.configuration)
        key = key_of(wanted)
        with LeanIXHook(self.leanix_conn_id) as hook:
            stored = hook.list_configurations(connector_type=key[0], connector_id=key[1])
            found = next((one for one in stored if key_of(one) == key), {})
            changes = list(differences(wanted, found))
            if changes:
                hook.put_configuration(wanted)
        self.log.info("Configuration %s: %s", "/".join(key), ", ".join(changes) or "nothing to change")
        result = {"configuration": list(key), "changed": bool(changes), "differences": changes[:100]}
        return tell(context, self.outlets, result)
