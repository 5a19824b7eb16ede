"""Sensors for property values, events, and Things that fell silent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, cast

from airflow_provider.core.files.row_operator import InheritedSignature
from airflow_provider.core.input.conditions import list_problems, raise_problems
from airflow_provider.core.input.scalars import Scalar, read_scalars
from airflow_provider.core.sensor import PollSensor
from airflow_provider.errors import InputError
from airflow_provider.iotstudio import DEFAULT_CONN_ID
from airflow_provider.iotstudio.conditions import filter_problems, name_problems, read_bound, require_name
from airflow_provider.iotstudio.events.fleet import Fleet, fleet_problems
from airflow_provider.iotstudio.events.records import RETAINED_EVENTS
from airflow_provider.iotstudio.hooks_base import read_twice
from airflow_provider.iotstudio.matching import match_query, match_result

if TYPE_CHECKING:
    from airflow.sdk import Context

    from airflow_provider.iotstudio.events.silence import Silence
    from airflow_provider.iotstudio.hooks import IoTStudioHook
    from airflow_provider.iotstudio.triggers import (
        IoTStudioEventPollTrigger,
        IoTStudioPropertyTrigger,
        IoTStudioSilenceTrigger,
    )


def is_first_poll(context: Context) -> bool:
    """Return whether a sensor in mode ``reschedule`` polls for the first time."""
    first = getattr(context.get("ti"), "get_first_reschedule_date", None)
    return first is None or first(context) is None


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
        iotstudio_conn_id: str = DEFAULT_CONN_ID,
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
        self._checks_names = not self.reschedule or is_first_poll(context)
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
            deadline=self.end,
            poll_interval=self.poke_interval,
        )

    def unmet_condition(self) -> str:
        """Return the text for the timeout's error."""
        return f"fewer than {self.min_matches} Things matched {dict(self.filters)}"

    def poll(self, context: Context) -> dict[str, Any] | None:
        """Poll once; return the matches, or None while they are too few."""
        from airflow_provider.iotstudio.hooks import IoTStudioHook

        params = match_query(self.filters, self.thing_id, self.min_matches)
        with IoTStudioHook(self.iotstudio_conn_id, space=self.space) as hook, hook.until(self.poll_end()):

            def matching() -> list[str]:
                things = hook.list_things(category=self.category, params=params)
                return [thing["uid"] for thing in islice(things, self.min_matches)]

            # A wait of hours must not end with a single 404 of a space that was there at the poll before.
            found = read_twice(matching)
            if self._checks_names and not found:
                self._check_names(hook)
            self._checks_names = False
        return match_result(found) if len(found) >= self.min_matches else None

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


class FleetSensor(PollSensor):
    """Ask the Things of a fleet, each with a request of its own.

    :param thing_id: only this Thing.
    :param thing_ids: only these Things.
    :param category: only Things of this category.
    :param filters: condition by property name, as the API writes it: ``{"mode": "eco"}``.
    :param space: id of the space; by default the connection's.
    :param deferrable: wait in the triggerer, not on a worker; by default Airflow's option
        ``[operators] default_deferrable``.
    :param iotstudio_conn_id: id of the Airflow connection.
    """

    FLEET_FIELDS: ClassVar[tuple[str, ...]] = (
        "thing_id",
        "thing_ids",
        "category",
        "filters",
        "space",
        "iotstudio_conn_id",
    )
    """The arguments, for ``template_fields``."""

    __signature__ = InheritedSignature()
    polls_before_deferring = True

    def __init__(
        self,
        *,
        thing_id: str | None = None,
        thing_ids: Sequence[str] | None = None,
        category: str | None = None,
        filters: Mapping[str, Any] | None = None,
        space: str | None = None,
        deferrable: bool | None = None,
        iotstudio_conn_id: str = DEFAULT_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.thing_id = thing_id
        self.thing_ids = thing_ids
        self.category = category
        self.filters = filters
        self.space = space
        self.deferrable = deferrable
        self.iotstudio_conn_id = iotstudio_conn_id

    _checks_names = True

    def execute(self, context: Context) -> Any:
        """Wait on the worker or in the triggerer; return what was found."""
        self._checks_names = not self.reschedule or is_first_poll(context)
        return super().execute(context)

    def warn_once(self, problems: Iterable[str]) -> None:
        """Log at the first poll of all what keeps the condition from being met.

        :param problems: the sentences.
        """
        for problem in problems if self._checks_names else ():
            self.log.warning("%s until then", problem)
        self._checks_names = False

    def number_problems(self, name: str, each: int) -> list[str]:
        """Return a problem when Things given by their ids can never be or report enough.

        :param name: the argument, a number.
        :param each: the most that a Thing can count for.
        """
        wanted, ids = getattr(self, name), Fleet.of(self).thing_ids
        if not ids or wanted <= each * len(ids):
            return []
        things = "one Thing" if len(ids) == 1 else f"{len(ids)} Things"
        return [f"{name!r} above {each * len(ids)} can never be met by {things}"]

    def fleet_arguments(self) -> dict[str, Any]:
        """Return the trigger's arguments for the same Things, interval and timeout."""
        fleet = Fleet.of(self)
        return {
            "iotstudio_conn_id": self.iotstudio_conn_id,
            "space": self.space,
            "thing_ids": None if fleet.thing_ids is None else list(fleet.thing_ids),
            "category": self.category,
            "filters": self.filters,
            "deadline": self.end,
            "poll_interval": self.poke_interval,
        }

    def fleet_problems(self) -> list[str]:
        """Return what is wrong with the arguments."""
        problems = fleet_problems(self)
        if not problems and self.thing_ids is not None and not self.thing_ids:
            problems.append("'thing_ids' is empty, so that there is nothing to wait for")
        return problems


class IoTStudioEventSensor(FleetSensor):
    """Wait until Things have reported events of a name.

    The service has a list of events for each Thing, and keeps the last hundred of a name. So each poll is one
    request for each Thing that declares the event, eight at a time, and one for each 1000 Things. Deferred
    sensors for the same events share them. Interval and timeout are the sensor's ``poke_interval`` and
    ``timeout``.

    Returns ``{"events": n, "thing_ids": [...], "latest": {"event", "thing_id", "event_id", "timestamp"}}``,
    with at most 100 ids.

    When no Thing declares the event, a warning names the most similar one. A Thing that is given by its id
    and does not exist, or does not have the event, fails the task. Further arguments are those of
    :class:`FleetSensor`.

    :param event: the event's name.
    :param since: only events from this time on, in whole seconds: ``"{{ data_interval_start }}"``. A text in
        ISO 8601, a datetime, a date, or seconds or milliseconds since the epoch; UTC without a time zone. By
        default the start of the DAG run.
    :param min_events: number of events that must have been reported.
    """

    template_fields: Sequence[str] = ("event", "since", "min_events", *FleetSensor.FLEET_FIELDS)

    _since: datetime | None = None

    def __init__(
        self,
        *,
        event: str,
        since: str | date | float | None = None,
        min_events: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.event = event
        self.since = since
        self.min_events = min_events

    def check_arguments(self) -> None:
        """Raise for invalid arguments, before the first request."""
        wrong = read_scalars(self, {"min_events": Scalar("integer", least=1)})
        problems = [*wrong, *require_name(self.event, "event"), *(things := self.fleet_problems())]
        if not wrong and not things:
            problems += self.number_problems("min_events", RETAINED_EVENTS)
        try:
            read_bound(self.since, "since")
        except InputError as error:
            problems += error.problems
        raise_problems(problems)

    def begin(self, context: Context) -> datetime:
        """Return from which time on events count."""
        if self._since is None:
            started = getattr(context.get("dag_run"), "start_date", None)
            default = started if isinstance(started, datetime) else datetime.now(UTC)
            self._since = (read_bound(self.since, "since") or default).replace(microsecond=0)
        return self._since

    def poll(self, context: Context) -> dict[str, Any] | None:
        """Poll once; return the events in short, or None while they are too few."""
        from airflow_provider.iotstudio.events.reader import event_result, find_events
        from airflow_provider.iotstudio.hooks import IoTStudioHook

        since = self.begin(context)
        with IoTStudioHook(self.iotstudio_conn_id, space=self.space) as hook, hook.until(self.poll_end()):
            found = find_events(hook, Fleet.of(self), self.event, since)
        found.raise_if_missing()
        self.warn_once(f"{problem}; nothing is reported" for problem in found.unknown)
        return event_result(found.events) if len(found.events) >= self.min_events else None

    def build_trigger(self, context: Context) -> IoTStudioEventPollTrigger:
        """Build the trigger that waits for the same events."""
        from airflow_provider.iotstudio.triggers import IoTStudioEventPollTrigger

        return IoTStudioEventPollTrigger(
            event=self.event,
            since=self.begin(context).isoformat(),
            min_events=self.min_events,
            **self.fleet_arguments(),
        )

    def unmet_condition(self) -> str:
        """Return the text for the timeout's error."""
        return f"fewer than {self.min_events} events {self.event!r} were reported"


class IoTStudioSilenceSensor(FleetSensor):
    """Wait until Things have fallen silent: they have reported no value for some time.

    A Thing is silent when its newest recorded value is older than ``silent_for``, or when it has none and was
    created before that. Values that are written without a history do not count, and Things without properties
    are never silent. The first poll is one request for each Thing, eight at a time, and one for each 1000.
    Later polls ask only for those that may be silent by then; in mode ``reschedule`` each poll is a first
    one. Interval and timeout are the sensor's ``poke_interval`` and ``timeout``.

    Returns ``{"matches": n, "thing_ids": [...]}``, with at most 100 ids.

    When too few Things are silent at first, a property that no Thing has, a filter that selects no Thing, and
    a ``min_matches`` above the number of Things that can fall silent are warnings. Further arguments are
    those of :class:`FleetSensor`.

    :param silent_for: time without a value, as a ``timedelta`` or in seconds.
    :param properties: only values of these properties count, such as ``["heartbeat"]``; None for all.
    :param min_matches: number of Things that must be silent.
    """

    template_fields: Sequence[str] = ("silent_for", "properties", "min_matches", *FleetSensor.FLEET_FIELDS)

    _silence: Silence | None = None

    def __init__(
        self,
        *,
        silent_for: timedelta | float,
        properties: Sequence[str] | None = None,
        min_matches: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.silent_for = silent_for
        self.properties = properties
        self.min_matches = min_matches

    def check_arguments(self) -> None:
        """Raise for invalid arguments, before the first request."""
        wrong = read_scalars(
            self,
            {"silent_for": Scalar("seconds", guard=True, above=0), "min_matches": Scalar("integer", least=1)},
        )
        problems = [*wrong, *list_problems(self.properties, "properties"), *(things := self.fleet_problems())]
        if not wrong and not things:
            problems += self.number_problems("min_matches", 1)
        if self.properties is not None and not self.properties:
            problems.append("'properties' is empty, so that no value counts")
        raise_problems(problems)

    def poll(self, context: Context) -> dict[str, Any] | None:
        """Poll once; return the silent Things, or None while they are too few."""
        from airflow_provider.iotstudio.events.silence import Silence
        from airflow_provider.iotstudio.hooks import IoTStudioHook

        seconds = cast("float", self.silent_for)
        self._silence = self._silence or Silence(Fleet.of(self), seconds, self.properties)
        with IoTStudioHook(self.iotstudio_conn_id, space=self.space) as hook, hook.until(self.poll_end()):
            found = self._silence.find(hook)
            if self._checks_names and len(found) < self.min_matches:
                self.warn_once(self._silence.problems(hook, self.min_matches))
            self._checks_names = False
        return match_result(found) if len(found) >= self.min_matches else None

    def build_trigger(self, context: Context) -> IoTStudioSilenceTrigger:
        """Build the trigger that waits for the same Things."""
        from airflow_provider.iotstudio.triggers import IoTStudioSilenceTrigger

        return IoTStudioSilenceTrigger(
            silent_for=cast("float", self.silent_for),
            properties=self.properties,
            min_matches=self.min_matches,
            **self.fleet_arguments(),
        )

    def unmet_condition(self) -> str:
        """Return the text for the timeout's error."""
        return f"fewer than {self.min_matches} Things have been silent for {self.silent_for} s"
