"""Comparison: rows with the Things of a space, which are read once and not kept."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider.core.input.problems import nearest
from airflow_provider.core.input.values import shown_value
from airflow_provider.core.json_types import Json
from airflow_provider.errors import InputError, PermissionDeniedError, ServerError, one_line, shorten
from airflow_provider.iotstudio.sync.document import Change, Plan, description_hash
from airflow_provider.iotstudio.sync.rows import DesiredThing, RowReader
from airflow_provider.iotstudio.sync.titles import Titles, near
from airflow_provider.iotstudio.things.write import same_field

if TYPE_CHECKING:
    from airflow_provider.iotstudio.hooks import IoTStudioHook


def list_fleet(hook: IoTStudioHook, category: str | None, title: str | None = None) -> Iterator[Json]:
    """Yield the Things that are compared.

    Filtered by a category, a list names all categories of its Things; below a category it names none.

    :param hook: the space.
    :param category: only Things of this category.
    :param title: only Things of this title.
    """
    wanted = {"category[]": category, "title": title}
    for thing in hook.list_things(
        params={name: value for name, value in wanted.items() if value is not None}
    ):
        _check(thing)
        yield thing


def _check(thing: Json) -> None:
    """Check what the sync needs of a Thing.

    :raises ServerError: when the service describes it in another form.
    """
    categories, model = thing.get("categories"), thing.get("model")
    wrong = ""
    if categories is not None and not (
        isinstance(categories, list) and all(isinstance(name, str) for name in categories)
    ):
        wrong = f"categories are {categories!r:.80}, not a list of names"
    elif model is not None and not (isinstance(model, dict) and isinstance(model.get("name"), str | None)):
        wrong = f"model is {model!r:.80}, not an object with a name"
    if wrong:
        name = f"{thing['uid']!r:.40}, {thing.get('title')!r:.80}"
        raise ServerError(200, "", f"the list of Things has one ({name}) whose {wrong}")


@dataclass
class Fleet:
    """The Things that were read, as far as the sync needs them.

    :param ids: their ids.
    :param categories: the names of their categories.
    :param models: the names of their models.
    """

    ids: set[str] = field(default_factory=set)
    categories: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)

    def add(self, thing: Mapping[str, Any]) -> None:
        """Take a Thing.

        :param thing: its description.
        """
        self.ids.add(thing["uid"])
        self.categories.update(thing.get("categories") or ())
        if model := thing.get("model"):
            self.models.add(model.get("name"))


class Comparison:
    """The comparison of rows with Things, as the Things are read.

    :param reader: the rows; it gets the problems that only the Things show.
    :param plan: gets the changes.
    :param deletes: whether Things without a row are deleted.
    """

    def __init__(self, reader: RowReader, plan: Plan, *, deletes: bool) -> None:
        self.fleet = Fleet()
        self._reader = reader
        self._plan = plan
        self._deletes = deletes
        self._by_uid = {row.uid: row for row in reader.rows.things if row.uid}
        self._by_key = {row.key: row for row in reader.rows.things if not row.uid}
        self._titles = Titles(reader.rows.things)
        self._found: dict[int, list[str]] = {}
        self._updates: dict[int, Change] = {}
        self._missing: list[Change] = []

    def add(self, things: Iterable[Json]) -> None:
        """Compare Things.

        :param things: their descriptions.
        """
        for thing in things:
            if thing["uid"] not in self.fleet.ids:  # a Thing that was moved between two pages is in both
                self.fleet.add(thing)
                self._add(thing)

    def _add(self, thing: Json) -> None:
        uid, title = thing["uid"], str(thing.get("title") or "")
        key = uid if self._plan.match_on == "uid" else title
        self._plan.compared += bool(key)
        row = self._by_uid.get(uid) or self._by_key.get(key)
        goes = row is None and self._deletes and bool(key) and not {key, uid} & self._reader.rows.keys
        self._titles.add(uid, title, row, goes=goes)
        if row is not None:
            self._compare(row, thing, uid)
        elif goes:
            self._missing.append(Change("delete", key, uid, title=title, before=description_hash(thing)))

    def _compare(self, row: DesiredThing, thing: Json, uid: str) -> None:
        self._found.setdefault(row.number, []).append(uid)
        fields = {
            name: [thing.get(name), wanted]
            for name, wanted in row.fields.items()
            if not same_field(name, wanted, thing.get(name))
        }
        if fields:
            title = str(row.fields.get("title") or thing.get("title") or "")
            self._updates[row.number] = Change(
                "update", row.key or uid, uid, row.number, title, fields, description_hash(thing)
            )

    def finish(self, hook: IoTStudioHook, category: str | None) -> None:
        """Add the changes to the plan, once all Things were added.

        :param hook: the space, which is asked for names that no Thing has.
        :param category: the category of the sync, which new Things get.
        :raises InputError: when it does not exist.
        """
        wrong = self._unknown_names(hook, category)
        for row in self._reader.rows.things:
            if not row.uid and row.number not in self._found:
                self._titles.add_creation(row)
        for row in self._reader.rows.things:
            found = self._found.get(row.number, [])
            reason = self._problem(row, found) or wrong.get(row.number, "") or self._title_problem(hook, row)
            if reason:
                self._reader.fail(row, reason)
            elif not found:
                self._plan.changes.append(_creation(row, category))
            elif row.number in self._updates:
                self._plan.changes.append(self._updates[row.number])
            else:
                self._plan.unchanged += 1
        order = {"create": 0, "update": 1}
        self._plan.changes.sort(key=lambda change: order[change.operation])
        self._plan.changes += self._deletions()
        self._plan.failed = self._reader.rows.failed
        self._plan.unmatched = sorted(self._reader.rows.uids - self.fleet.ids)

    def _deletions(self) -> list[Change]:
        """Return the deletions; a Thing whose title is nearly that of a row that is left out stays."""
        kept = self._reader.rows.keys
        forms = {near(key) for key in kept}
        return [one for one in self._missing if not ({one.key, one.id} & kept or near(one.key) in forms)]

    def _title_problem(self, hook: IoTStudioHook, row: DesiredThing) -> str:
        if row.number not in self._found:
            return self._titles.creation_problem(row)
        change = self._updates.get(row.number)
        if change is None or "title" not in change.fields:
            return ""
        problem = self._titles.rename_problem(row)
        if problem and self._titles.was_doubled(row):
            parts = (row.number, row.key or row.uid, problem)
            hook.log.warning("row %s (%s): %s", *(one_line(str(part)) for part in parts))
            return ""
        return problem

    def _problem(self, row: DesiredThing, found: list[str]) -> str:
        if len(found) > 1:
            ids = ", ".join(shorten(sorted(found), 3))
            return f"title is that of {len(found)} Things: {ids}; give the row the uid of one of them"
        if row.uid and not found:
            where = f" in the category {self._plan.category!r}" if self._plan.category is not None else ""
            return (
                f"no Thing{where} has the uid {row.uid!r:.80}. The service chooses the uid of a new Thing: a"
                " row without a uid creates one with match_on='title'"
            )
        return ""

    def _unknown_names(self, hook: IoTStudioHook, category: str | None) -> dict[int, str]:
        """Return the rows that name a category or a model that does not exist.

        :raises InputError: when the category of the sync does not exist.
        """
        rows = self._reader.rows.things
        categories: set[str] = set() if category is None else {category}
        categories |= {name for row in rows for name in row.fields.get("categories") or ()}
        models = {row.fields["model"]["name"] for row in rows if row.fields.get("model")}
        wrong: dict[str, dict[str, str]] = {"category": {}, "model": {}}
        if unseen := categories - self.fleet.categories:
            known = {str(one["name"]) for one in hook.list_categories()}
            wrong["category"] = {name: nearest(name, known) for name in unseen - known}
            if category is not None and category not in known | self.fleet.categories:
                raise InputError(f"there is no category {category!r}{nearest(category, known)}", "category")
        if unseen := models - self.fleet.models:
            known = _models(hook, unseen)
            wrong["model"] = {name: nearest(name, known) for name in unseen - known}
        return {
            row.number: f"there is no {kind} {shown_value(name)}{hint}"
            for row in rows
            for kind, names in wrong.items()
            for name, hint in names.items()
            if name in _names(row, kind)
        }


def _names(row: DesiredThing, kind: str) -> list[str]:
    if kind == "category":
        return row.fields.get("categories") or []
    return [row.fields["model"]["name"]] if row.fields.get("model") else []


def _models(hook: IoTStudioHook, unseen: set[str]) -> set[str]:
    try:
        return {str(model["name"]) for model in hook.list_models()}
    except PermissionDeniedError as error:
        hook.log.info("the models cannot be listed, so their names are not checked: %s", error)
        return unseen


def _creation(row: DesiredThing, category: str | None) -> Change:
    fields = dict(row.fields)
    if category is not None:
        fields.setdefault("categories", [category])
    wanted = {name: [None, value] for name, value in fields.items()}
    return Change("create", row.key, row=row.number, title=str(fields.get("title") or ""), fields=wanted)
