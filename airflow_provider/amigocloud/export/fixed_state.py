"""Fixed state: a state of a dataset that was chosen earlier, and the proof that rows are of it.

The vendor's documentation does not say how the service answers for a state that it does not have any more, so
both possible answers are understood: a refusal, and rows of another state.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from airflow_provider.amigocloud import api
from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.amigocloud.pagination import quoted_name
from airflow_provider.amigocloud.values import KEY
from airflow_provider.errors import ApiError, NotFoundError, RequestRejectedError


class FixedState:
    """A state of a dataset that was chosen earlier.

    Rows are known to be of the state when the dataset is still in it after they were read (a state never
    comes back), or when the service refuses a state that does not exist.

    :param hook: hook of the connection.
    :param dataset: id of the dataset.
    :param state: hash of the state.
    :param unreadable: creates the error of a state that cannot be read, from the reason.
    :param rows: number of rows to read, if it is known.
    """

    def __init__(
        self,
        hook: AmigoCloudHook,
        dataset: int,
        state: str,
        unreadable: Callable[[str], Exception],
        rows: int | None = None,
    ) -> None:
        self.state = state
        self.rows = rows
        self._hook = hook
        self._dataset = dataset
        self._unreadable = unreadable
        self._is_proven = False

    @property
    def snapshot(self) -> dict[str, str]:
        """Parameters of a request that select the state."""
        return {"state": self.state, "dataset_id": str(self._dataset)}

    def check(self) -> str:
        """Return the state; raise the error of an unreadable state when rows are not known to be of it."""
        if self._is_proven or self._hook.get_master(self._dataset) == self.state:
            return self.state
        # Of the same length and alphabet as a hash that exists, so that it is refused for one reason only.
        unknown = self.state[::-1]
        if unknown == self.state or self._can_read(unknown):
            raise self._unreadable(
                "the dataset has changed since, and the service answers requests for a state that does not"
                " exist, so its rows may be of another state"
            )
        self._hook.log.info(
            "Dataset %s has changed since state %s; the service refuses unknown states, so rows are of that"
            " state",
            self._dataset,
            self.state,
        )
        self._is_proven = True
        return self.state

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Within the block, read rows of the state; at its end, check that they are of it."""
        try:
            yield
        except (RequestRejectedError, NotFoundError) as error:
            if not _is_refusal(error) or self._can_read(self.state) or not self._can_read():
                raise
            raise self._unreadable(f"the service does not know the state any more ({error})") from error
        self.check()

    def _can_read(self, state: str | None = None) -> bool:
        """Return whether the service answers a small query, in a state or in the latest one."""
        snapshot = {} if state is None else {**self.snapshot, "state": state}
        # The name of the column is a constant, the id a number.
        sql = f"SELECT {quoted_name(KEY)} FROM dataset_{self._dataset} LIMIT 1"  # noqa: S608
        try:
            self._hook.send(api.sql(sql, limit=1, **snapshot))
        except (RequestRejectedError, NotFoundError) as error:
            if _is_refusal(error):
                return False
            raise
        return True


def _is_refusal(error: ApiError) -> bool:
    """Return whether the service refused a request by its content; a redirect is no answer."""
    return not 300 <= error.status < 400
