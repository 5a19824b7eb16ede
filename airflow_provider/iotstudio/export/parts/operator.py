"""Operator that plans a history export in parts, and the arguments that it shares with the export."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider.core.files.row_operator import InheritedSignature
from airflow_provider.core.input.rendered import CheckedOperator
from airflow_provider.iotstudio import DEFAULT_CONN_ID

if TYPE_CHECKING:
    from airflow.sdk import Context


class HistoryOperator(CheckedOperator):
    """Select histories: of which Things, in which span, of which properties.

    :param thing_ids: these Things; by default all that ``category`` and ``filters`` leave. An empty list
        selects none.
    :param category: only Things of this category.
    :param filters: condition by property name, evaluated on current values: ``{"mode": "eco"}``.
    :param start: start of the span, inclusive: ``"{{ data_interval_start }}"``. A text in ISO 8601, a
        datetime, a date, or seconds or milliseconds since the epoch; UTC without a time zone.
    :param end: end of the span, exclusive: ``"{{ data_interval_end }}"``.
    :param properties: only these properties; an empty list selects none.
    :param space: id of the space; by default the connection's.
    :param iotstudio_conn_id: id of the Airflow connection.
    """

    SELECTION_FIELDS: ClassVar[tuple[str, ...]] = (
        "thing_ids",
        "category",
        "filters",
        "start",
        "end",
        "properties",
        "space",
        "iotstudio_conn_id",
    )
    """The arguments, for ``template_fields``."""

    __signature__ = InheritedSignature()

    def __init__(
        self,
        *,
        thing_ids: Sequence[str] | None = None,
        category: str | None = None,
        filters: Mapping[str, Any] | None = None,
        start: str | date | float | None = None,
        end: str | date | float | None = None,
        properties: Sequence[str] | None = None,
        space: str | None = None,
        iotstudio_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.thing_ids = thing_ids
        self.category = category
        self.filters = filters
        self.start = start
        self.end = end
        self.properties = properties
        self.space = space
        self.iotstudio_conn_id = iotstudio_conn_id


class IoTStudioPlanHistoryOperator(HistoryOperator):
    """Plan the export of a history in parts that mapped tasks read, each of some of the Things.

    Returns the list of parts for ``expand``::

        plan = IoTStudioPlanHistoryOperator(
            task_id="plan",
            start="{{ data_interval_start }}",
            end="{{ data_interval_end }}",
            parts=8,
        )
        files = IoTStudioExportHistoryOperator.partial(
            task_id="export", output_path="/data/history/{{ ds }}/"
        ).expand(part=plan.output)
        CommitManifestOperator(
            task_id="commit", parts=files.output, output_path="/data/history/{{ ds }}/_manifest.json"
        )

    The Things are those of now, in the order of their ids, cut into ranges of equal numbers of Things. Each
    part has the ids of its Things, so a part that is retried or cleared reads the same Things, whatever was
    added meanwhile. Things that are gone when a part is read have no values. Fewer Things than ``parts`` make
    fewer parts, and none make one. Without ``end``, all parts end at the time of the plan.

    The other arguments, all templated, are those of :class:`HistoryOperator`.

    :param parts: number of parts, at most Airflow's ``[core] max_map_length`` (templated).
    """

    template_fields: Sequence[str] = ("parts", *HistoryOperator.SELECTION_FIELDS)

    def __init__(self, *, parts: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.parts = parts

    def execute(self, context: Context) -> list[dict[str, Any]]:
        """List the Things, and return the parts.

        :raises InputError: when arguments are invalid, before any request.
        """
        from airflow_provider.core.compat import max_map_length
        from airflow_provider.core.input.conditions import raise_problems
        from airflow_provider.core.input.scalars import Scalar, read_scalars
        from airflow_provider.errors import InputError
        from airflow_provider.iotstudio.export.export import thing_ids_of
        from airflow_provider.iotstudio.export.history import Selection
        from airflow_provider.iotstudio.export.parts.part import make_parts
        from airflow_provider.iotstudio.hooks import IoTStudioHook

        problems = read_scalars(self, {"parts": Scalar("integer", least=1, most=max_map_length())})
        try:
            selection = Selection.of_plan(self)
        except InputError as error:
            problems += error.problems
        raise_problems(problems)
        now = datetime.now(UTC)
        with IoTStudioHook(self.iotstudio_conn_id, space=self.space) as hook:
            things = thing_ids_of(hook, selection)
            parts = make_parts(
                hook.space,
                things,
                selection.span,
                selection.properties,
                int(self.parts),
                now,
                is_listed=selection.thing_ids is None,
            )
        sizes = [len(part.thing_ids) for part in parts]
        self.log.info(
            "Planned %d parts of %d to %d Things, %d Things in all, from %s to %s",
            *(len(parts), min(sizes), max(sizes), sum(sizes)),
            *(parts[0].start or "the beginning", parts[0].end or parts[0].until),
        )
        return [part.to_json() for part in parts]
