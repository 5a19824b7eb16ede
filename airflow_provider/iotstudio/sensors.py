"""Sensor for property values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from airflow_provider.core.input.conditions import raise_problems
from airflow_provider.core.input.scalars import Scalar, read_scalars
from airflow_provider.core.polling import clock
from airflow_provider.core.sensor import PollSensor
from airflow_provider.iotstudio.conditions import filter_problems, name_problems
from airflow_provider.iotstudio.hooks import IoTStudioHook
from airflow_provider.iotstudio.hooks_base import read_twice
from airflow_provider.iotstudio.matching import match_query, match_result

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.iotstudio.triggers import IoTStudioPropertyTrigger


class IoTStudioPropertySensor(PollSensor):
    """Wait until Things have certain property values; the service evaluates the conditions.

    One request covers a whole space of any size. Deferred sensors with the same filters and category share
    the request. Deferred sensors that each wait for a single Thing with the same filters share one, too.
    Interval and timeout are the sensor's ``poke_interval`` and ``timeout``.

    Returns ``{"matches": n, "thing_ids": [...]}``, counted up to ``min_matches``, with at most 100 ids.

    A condition that is empty or can never hold is refused before any request. When nothing matches at first,
    a Thing that does not exist fails the task, and a property that no Thing has is a warning.

    :param filters: condition by property name, as the API writes it: ``{"temperature": "gt:20"}``. All must
        hold for the same Thing. Operators: ``eq`` (the default), ``neq``, ``gt``, ``gte``, ``lt``,
        ``lte``, ``contains``.
    :param category: only Things of this category.
    :param thing_id: only this Thing.
    :param min_matches: number of Things that must match.
    :param space: id of the space; by default the connection's.
    :param deferrable: wait in the triggerer, not on a worker; by default Airflow's option
        ``[operators] default_deferrable``.
    :param iotstudio_conn_id: id of the Airflow connection.
    """

    template_fields: Sequence[str] = (
        "filters",
        "category",
        "thing_id",
        "min_matches",
        "space",
        "iotstudio_conn_id",
    )
    polls_before_deferring = True

    def __init__(
        self,
        *,
        filters: Mapping[str, Any],
        category: str | None = None,
        thing_id: str | None = None,
        min_matches: int = 1,
        space: str | None = None,
        deferrable: bool | None = None,
        iotstudio_conn_id: str = IoTStudioHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters = filters
        self.category = category
        self.thing_id = thing_id
        self.min_matches = min_matches
        self.space = space
        self.deferrable = deferrable
        self.iotstudio_conn_id = iotstudio_conn_id

    _checks_names = False

    def execute(self, context: Context) -> Any:
        """Wait on the worker or in the triggerer; return the matches."""
        self._checks_names = not self.reschedule or self._is_first_poll(context)
        return super().execute(context)

    def build_trigger(self, context: Context) -> IoTStudioPropertyTrigger:
        """Build the trigger that waits for the same Things."""
        from airflow_provider.iotstudio.triggers import IoTStudioPropertyTrigger

        return IoTStudioPropertyTrigger(
            iotstudio_conn_id=self.iotstudio_conn_id,
            space=self.space,
            filters=self.filters,
            category=self.category,
            thing_id=self.thing_id,
            min_matches=self.min_matches,
            deadline=clock() + self.timeout,
            poll_interval=self.poke_interval,
        )

    def unmet_condition(self) -> str:
        """Return the text for the timeout's error."""
        return f"fewer than {self.min_matches} Things matched {dict(self.filters)}"

    def poll(self, context: Context) -> dict[str, Any] | None:
        """Poll once; return the matches, or None while they are too few."""
        params = match_query(self.filters, self.thing_id, self.min_matches)
        with IoTStudioHook(self.iotstudio_conn_id, space=self.space) as hook:

            def matching() -> list[str]:
                things = hook.list_things(category=self.category, params=params)
                return [thing["uid"] for thing in islice(things, self.min_matches)]

            # A wait of hours must not end with a single 404 of a space that was there at the poll before.
            found = read_twice(matching)
            if self._checks_names and not found:
                self._check_names(hook)
            self._checks_names = False
        return match_result(found) if len(found) >= self.min_matches else None

    @staticmethod
    def _is_first_poll(context: Context) -> bool:
        first = getattr(context.get("ti"), "get_first_reschedule_date", None)
        return first is None or first(context) is None

    def _check_names(self, hook: IoTStudioHook) -> None:
        """Find out why nothing matches: a Thing that does not exist, or a property that no Thing has.

        :raises NotFoundError: for a Thing that does not exist.
        """
        from airflow_provider.iotstudio.known_names import KnownNames, unknown_properties

        thing_id = self.thing_id
        if thing_id is not None:
            names = KnownNames(self.filters)
            names.add(read_twice(lambda: hook.get_thing(thing_id)))
            unknown = names.problems()
        else:
            unknown = unknown_properties(hook, self.filters, category=self.category)
        for problem in unknown:
            self.log.warning("filters: %s; nothing matches until then", problem)

    def check_arguments(self) -> None:
        """Raise for invalid arguments, before the first request."""
        wrong = read_scalars(self, {"min_matches": Scalar("integer", least=1)})
        problems = list(wrong)
        filters: object = self.filters  # a template may have rendered it to any type
        if filters is None:
            problems.append("'filters' must have a condition by property name")
        problems += filter_problems(filters)
        problems += name_problems(self.category, "category")
        problems += name_problems(self.thing_id, "thing_id")
        if self.thing_id is not None and not wrong and self.min_matches > 1:
            problems.append("'min_matches' above 1 can never be met by one Thing")
        raise_problems(problems)
