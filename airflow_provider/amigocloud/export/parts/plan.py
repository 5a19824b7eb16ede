"""Plan of a sharded export: the keys of one state of a dataset, cut into parts of equal numbers of rows."""

from __future__ import annotations

import itertools
from decimal import Decimal

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.export.fixed_state import FixedState
from airflow_provider.amigocloud.export.keyset import first_page, literal, no_key_problem, read_count
from airflow_provider.amigocloud.export.parts.part import Bound, Part, make_parts
from airflow_provider.amigocloud.export.readers import Key
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.pagination import Row, quoted_name
from airflow_provider.amigocloud.values import KEY
from airflow_provider.core.input.values import shown
from airflow_provider.errors import IncompleteExportError, InputError


def plan_parts(hook: AmigoCloudHook, dataset: int, count: int) -> list[Part]:
    """Return the parts of a dataset in its latest state, the same ones whenever that state is planned.

    The bounds are keys of the dataset, found in the order of the service, whatever their type and collation.
    The first part has no lower bound and the last one no upper bound.

    :param hook: hook of the connection.
    :param dataset: id of the dataset.
    :param count: number of parts; a dataset with fewer rows gets fewer parts, and an empty one gets one.
    :raises InputError: when the dataset's key cannot be cut into ranges.
    :raises IncompleteExportError: when the dataset changes, and the service answers for another state.
    """
    state = hook.get_master(dataset)
    fixed = FixedState(hook, dataset, state, _unreadable)
    with fixed.reading():
        return _Cutter(hook, dataset, fixed).parts(count)


def _unreadable(reason: str) -> IncompleteExportError:
    return IncompleteExportError(f"the dataset changed while it was planned: {reason}; retry the task")


class _Cutter:
    """Finds the bounds of the parts."""

    def __init__(self, hook: AmigoCloudHook, dataset: int, fixed: FixedState) -> None:
        self._hook = hook
        self._dataset = dataset
        self._fixed = fixed
        self._name = quoted_name(KEY)

    def parts(self, count: int) -> list[Part]:
        """Return the parts."""
        rows = self._count_rows()
        count = max(1, min(count, rows))
        cuts = [rows * number // count for number in range(count + 1)]
        sizes = [high - low for low, high in itertools.pairwise(cuts)]
        bounds: list[Bound] = []
        for size in sizes[:-1]:
            bounds.append(self._bound(bounds[-1] if bounds else None, size))
        return make_parts(self._dataset, self._fixed.state, bounds, sizes)

    def _count_rows(self) -> int:
        row = self._query(f'SELECT count(*) AS "rows", count({self._name}) AS "keys"')
        rows, keys = (read_count((row or {}).get(name)) for name in ("rows", "keys"))
        if rows is None or keys is None:
            raise IncompleteExportError("the service did not count the rows of the dataset; retry the task")
        if rows != keys:
            raise InputError(f"column '{KEY}' is null in {rows - keys} rows, which no part would hold", KEY)
        return rows

    def _bound(self, low: Bound, size: int) -> Bound:
        """Return the key that lies a number of rows after another one."""
        where = "" if low is None else f" WHERE {self._name} >= {literal(low)}"
        row = self._query(
            f"SELECT {self._name}", f"{where} ORDER BY {self._name} LIMIT 1 OFFSET {size}", check=True
        )
        key: Key | None = None if row is None else row.get(KEY)
        if key is None:
            raise IncompleteExportError("the service returned fewer rows than it counted; retry the task")
        if key == low:
            raise InputError(f"column '{KEY}' repeats {shown(key)}; a key must be unique", KEY)
        return str(key) if isinstance(key, (Decimal, float)) else key

    def _query(self, select: str, rest: str = "", *, check: bool = False) -> Row | None:
        """Return the first row of a query in the state.

        :param check: whether the column is checked for a type that has no exact order.
        """
        # Names and keys are quoted, the id is a number.
        sql = f"{select} FROM dataset_{self._dataset}{rest}"
        page = first_page(self._hook, api.sql(sql, limit=1, **self._fixed.snapshot))
        if check and (problem := no_key_problem(page.columns, KEY)):
            raise InputError(problem, KEY)
        return page.first_exact()
