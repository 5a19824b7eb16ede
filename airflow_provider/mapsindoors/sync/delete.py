"""Deletion: delete objects by id, leaves before parents, within a limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider.core.files.row_source import (
    NO_OPTIONS,
    RowOptions,
    is_query,
    read_source,
    subject_of,
)
from airflow_provider.core.input.problems import Problems, nearest
from airflow_provider.core.input.values import normal_key, shown
from airflow_provider.errors import InputError, PlanRejectedError, one_line, shorten
from airflow_provider.mapsindoors.api import BASE_TYPES
from airflow_provider.mapsindoors.geodata.rows import flatten_with
from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot, read_undecoded
from airflow_provider.mapsindoors.geodata.values import is_object_id
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from airflow_provider.mapsindoors.plan.document import Change, Plan, write_order
from airflow_provider.mapsindoors.plan.guards import Guards
from airflow_provider.mapsindoors.sync.execute import PlanExecution
from airflow_provider.mapsindoors.sync.verify import verify

if TYPE_CHECKING:
    from airflow.sdk.types import Logger


def read_ids(source: object, options: RowOptions = NO_OPTIONS) -> list[str]:
    """Read ids from a list, or from the ``id`` of each object of a file.

    :param source: the ids, the path of a file of objects with an ``id``, or rows of a query.
    :param options: how the file is read.
    :return: the ids without duplicates.
    :raises InputError: with every row that is not an id.
    """
    subject = subject_of(source, "ids")
    if isinstance(source, str) or is_query(source):
        given: list[tuple[int, Any]] = list(_ids_of_rows(source, subject, options))
    elif isinstance(source, (list, tuple)):
        given = list(enumerate(source, 1))
    else:
        raise InputError(f"must be a list of ids or the path of a file, not {type(source).__name__}", "ids")
    wrong = [
        f"row {number}: {shown(object_id)} is not an id"
        for number, object_id in given
        if not isinstance(object_id, str) or not object_id.strip()
    ]
    if wrong:
        raise InputError(wrong, subject)
    return list(dict.fromkeys(_normal_id(object_id) for _, object_id in given))


def _normal_id(object_id: str) -> str:
    """Return an id as the service writes it: in small letters, without blanks around it."""
    found = normal_key(object_id)
    return found.lower() if is_object_id(found) else found


def _ids_of_rows(source: object, subject: str, options: RowOptions) -> Iterator[tuple[int, Any]]:
    """Yield the numbers and ids of the rows of a file or a query.

    :raises InputError: for rows without an id, reported once with their number.
    """
    problems = Problems(subject)
    for number, row in read_source(source, subject, options, flatten=flatten_with(options), fields=("id",)):
        if row.get("id") is None:
            hint = "" if "id" in row else nearest("id", row)
            problems.add_column(f"has no 'id'{hint}; name its column by columns", number)
        else:
            yield number, row["id"]
    problems.raise_if_any()


def delete(
    hook: MapsIndoorsHook, ids: list[str], max_deletes: int, batch_size: int, log: Logger
) -> dict[str, int]:
    """Delete objects and verify that they are deleted.

    :param hook: the connection to the solution.
    :param ids: ids of the objects; unknown ids are ignored.
    :param max_deletes: maximum number of deletions.
    :param batch_size: maximum number of objects a request.
    :param log: logs the progress after each batch.
    :return: ``{"deleted": n, "gone": n}``; ``gone`` counts the ids that did not exist.
    :raises PlanRejectedError: when there are more, when the child of a deleted object would stay, or when
        an object has an unknown base type.
    """
    if not ids:
        return {"deleted": 0, "gone": 0}
    snapshot = SolutionSnapshot(hook.get_dataset(), read_undecoded(hook), match_on="id")
    plan = Plan(snapshot.dataset["id"], "id", {}, "", compared=len(snapshot.by_id))
    known = [object_id for object_id in ids if object_id in snapshot.by_id]
    if unknown := [object_id for object_id in ids if object_id not in snapshot.by_id]:
        names = ", ".join(shorten([object_id[:40] for object_id in unknown], 10))
        log.warning("%d of %d ids are not in the solution: %s", len(unknown), len(ids), one_line(names))
    _refuse_unknown_kinds(known, snapshot)
    plan.changes = sorted(
        (Change("delete", object_id, snapshot.base_types[object_id], object_id) for object_id in known),
        key=write_order,
    )
    Guards(max_deletes=max_deletes, max_delete_ratio=1.0).check(plan, snapshot)
    execution = PlanExecution(hook, plan, batch_size=batch_size, log=log)
    execution.run(skip_bad=False)
    if plan.changes:
        verify(hook, execution.written, plan.match_on)
    return {"deleted": execution.done["delete"], "gone": len(ids) - len(known)}


def _refuse_unknown_kinds(ids: list[str], snapshot: SolutionSnapshot) -> None:
    kinds = {one: snapshot.base_types[one] for one in ids}
    unknown = [f"{one} ({kind!r:.60})" for one, kind in kinds.items() if kind not in BASE_TYPES]
    if unknown:
        raise PlanRejectedError(
            "nothing was deleted: the order of objects with an unknown base type is unknown, too; leave out"
            f" {', '.join(shorten(unknown, 10))}"
        )
