"""Operators for Altair IoT Studio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator

from airflow_provider.iotstudio.hooks import IoTStudioHook

if TYPE_CHECKING:
    from airflow.sdk import Context


class IoTStudioWritePropertiesOperator(BaseOperator):
    """Sets properties of one Thing or of thousands, and makes sure that they were taken.

    All values of a Thing go in one request, Things are written at the same time, JSON types are kept. The
    input is checked as a whole before the first request. When a row fails, all others are still written, the
    error names each failure, and the task fails; its next try writes only what is not right yet.

    Returns ``{"written": n, "skipped": n, "verified": n}``, counted in property values.

    :param thing_id: the one Thing to write to; goes with ``properties``.
    :param properties: its new values by name.
    :param writes: many Things instead: a list of ``{"thing_id": ..., "properties": {...}}``, or the path of
        such rows (``.json``, ``.jsonl``, ``.csv`` with JSON in ``properties``, ``.parquet``), local or any
        URL that ``ObjectStoragePath`` takes.
    :param space: id of the space; the connection's own when it is left out.
    :param verify: read back afterwards (at most three requests for 1000 Things) and fail with
        ``VerificationError`` when a value is not stored, clamped or rounded. Floats may
        differ by a millionth.
    :param only_changed: read first, and write only what differs; this also spares the history.
    :param update_history: False keeps the values out of the Things' history.
    :param concurrency: requests at the same time, 1 to 32.
    :param iotstudio_conn_id: id of the Airflow connection.
    """

    template_fields: Sequence[str] = (
        "thing_id",
        "properties",
        "writes",
        "space",
        "iotstudio_conn_id",
    )

    def __init__(
        self,
        *,
        thing_id: str | None = None,
        properties: Mapping[str, Any] | None = None,
        writes: Sequence[Mapping[str, Any]] | str | None = None,
        space: str | None = None,
        verify: bool = True,
        only_changed: bool = False,
        update_history: bool = True,
        concurrency: int = 8,
        iotstudio_conn_id: str = IoTStudioHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.thing_id = thing_id
        self.properties = properties
        self.writes = writes
        self.space = space
        self.verify = verify
        self.only_changed = only_changed
        self.update_history = update_history
        self.concurrency = concurrency
        self.iotstudio_conn_id = iotstudio_conn_id

    def execute(self, context: Context) -> dict[str, int]:
        """Check all rows, write them, read them back."""
        from airflow_provider.iotstudio.writer import PropertyWriter
        from airflow_provider.iotstudio.writes import plan_writes

        writes = plan_writes(thing_id=self.thing_id, properties=self.properties, writes=self.writes)
        # What an earlier try has written is not written again: it would be in the history twice.
        again = getattr(context.get("ti"), "try_number", 1) > 1
        with IoTStudioHook(self.iotstudio_conn_id, space=self.space) as hook:
            writer = PropertyWriter(
                hook,
                concurrency=self.concurrency,
                update_history=self.update_history,
                only_changed=self.only_changed or again,
                verify=self.verify,
            )
            return writer.write(writes)
