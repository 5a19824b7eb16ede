"""The AmigoCloud hook."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from airflow_provider.amigocloud import api, api_datasets
from airflow_provider.amigocloud.pagination import Cursor, Row, walk
from airflow_provider.amigocloud.realtime.callbacks import Listener
from airflow_provider.core.http.call import Call, Params
from airflow_provider.errors import AmbiguousWriteError, InputError, NotFoundError

T = TypeVar("T")


class AmigoCloudHook(Listener):
    """Reads and writes AmigoCloud: any URL of its API, lists, SQL, jobs, uploads.

    URLs follow the rules of the vendor's client: ``datasets`` is below the connection's project (below the
    API root when it names none), ``/me`` always below the API root, and an absolute URL is taken only when it
    has the connection's own origin. The token goes into the query of every request, which is how this API
    wants it, and nowhere else.

    :param amigocloud_conn_id: id of the Airflow connection: ``password`` is the API token, ``host`` the API
        root, the extra ``project_url`` the project (``users/123/projects/1234``).
    """

    # -- any URL

    def get(self, url: str, params: Params | None = None, *, raw: bool = False) -> Any:
        """Read a URL.

        :param url: relative to the project, from the API root (``/me``), or absolute on the own origin.
        :param params: query parameters.
        :param raw: give the bytes of the body (a picture, say) instead of reading it as JSON.
        :raises ProviderError: see :mod:`airflow_provider.errors`.
        """
        return self.send(api.request("GET", url, params, raw=raw))

    def post(self, url: str, data: Any = None, params: Params | None = None, *, raw: bool = False) -> Any:
        """Send data to a URL, as JSON; never sent twice when that could act twice.

        :param url: see :meth:`get`.
        :param data: what to send: any JSON; None sends no body.
        :param params: query parameters.
        :param raw: see :meth:`get`.
        :raises AmbiguousWriteError: when the answer was lost.
        """
        return self.send(api.request("POST", url, params, data, raw=raw))

    def put(self, url: str, data: Any = None, params: Params | None = None, *, raw: bool = False) -> Any:
        """Put data at a URL, as JSON.

        :param url: see :meth:`get`.
        :param data: what to send: any JSON; None sends no body.
        :param params: query parameters.
        :param raw: see :meth:`get`.
        """
        return self.send(api.request("PUT", url, params, data, raw=raw))

    def patch(self, url: str, data: Any = None, params: Params | None = None, *, raw: bool = False) -> Any:
        """Change what is at a URL; never sent twice when that could act twice.

        :param url: see :meth:`get`.
        :param data: what to send: any JSON; None sends no body.
        :param params: query parameters.
        :param raw: see :meth:`get`.
        """
        return self.send(api.request("PATCH", url, params, data, raw=raw))

    def delete(self, url: str, data: Any = None, params: Params | None = None, *, raw: bool = False) -> Any:
        """Delete what is at a URL; gives None when the service has nothing to say.

        :param url: see :meth:`get`.
        :param data: what to send: any JSON; None sends no body.
        :param params: query parameters.
        :param raw: see :meth:`get`.
        :raises NotFoundError: when nothing was there to begin with.
        """
        return self._delete(api.request("DELETE", url, params, data, raw=raw))

    def _delete(self, call: Call[T]) -> T | None:
        try:
            return self.send(replace(call, repeatable=False))
        except AmbiguousWriteError:
            with suppress(NotFoundError):  # gone: the request whose answer was lost has deleted it
                return self.send(call)
            return None

    def get_cursor(self, url: str, params: Params | None = None) -> Cursor:
        """Walk a list (projects, datasets, the rows of a query), fetching pages as they are needed.

        :param url: see :meth:`get`.
        :param params: query parameters; ``{"query": sql}`` for ``sql``, by POST when it is long.
        """
        return Cursor(self.send, api.listing(url, params))

    # -- SQL

    def get_records(self, sql: str) -> list[Row]:
        """Run a query and give all its rows; for results that fit into memory.

        :param sql: the query.
        """
        self.need_project()
        return [row for page in walk(self.send, api.sql(sql)) for row in page.decoded()]

    def get_first(self, sql: str) -> Row | None:
        """Run a query and give its first row, None when it has none.

        :param sql: the query.
        """
        self.need_project()
        rows = self.send(api.sql(sql, limit=1)).decoded()
        return rows[0] if rows else None

    def get_df(self, sql: str) -> Any:
        """Run a query and give all its rows as a pandas DataFrame, with the query's columns even when empty.

        :param sql: the query.
        :raises InputError: when pandas is not installed.
        """
        try:
            import pandas as pd  # type: ignore[import-untyped]
        except ImportError:
            raise InputError("a DataFrame needs pandas: install it", "get_df") from None
        self.need_project()
        rows: list[Row] = []
        names: list[str] | None = None
        for page in walk(self.send, api.sql(sql)):
            rows += page.decoded()
            names = names or [column.name for column in page.columns or ()] or None
        return pd.DataFrame(rows, columns=names)

    def run(self, sql: str) -> int:
        """Run a statement that writes; gives how many rows it affected.

        :param sql: the statement.
        :raises AmbiguousWriteError: when the answer was lost: the statement may have taken effect.
        """
        self.need_project()
        return self.send(api.write_sql(sql))

    def get_saved_query(self, query_id: int | str) -> str:
        """Give the SQL of one of the project's saved queries.

        :param query_id: the query's id.
        """
        self.need_project()
        return self.send(api.saved_query(query_id))

    # -- datasets and jobs

    def get_master(self, dataset: int | str) -> str:
        """Give the hash of a dataset's latest state: one tiny request that tells whether it changed.

        :param dataset: its id.
        """
        return self.send(api.master(self._dataset(dataset)))

    async def aget_master(self, dataset: int | str) -> str:
        """Give the hash of a dataset's latest state, from an event loop.

        :param dataset: its id.
        """
        await self.aload()
        return await self.asend(api.master(self._dataset(dataset)))

    def get_schema(self, dataset: int | str) -> list[dict[str, Any]]:
        """Give a dataset's fields: name, type, nullable, default and more.

        :param dataset: its id.
        """
        return self.send(api_datasets.schema(self._dataset(dataset)))

    def create_dataset(self, name: str, schema: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Make an empty dataset; gives its ``id``, ``name``, ``url`` and ``job``.

        :param name: what users will see it as.
        :param schema: fields, each with ``name`` and ``type``.
        :raises AmbiguousWriteError: when the answer was lost: it may have been made.
        """
        self.need_project()
        return self.send(api_datasets.create_dataset(name, schema))

    def delete_dataset(self, dataset: int | str) -> None:
        """Delete a dataset with all its states.

        :param dataset: its id.
        :raises NotFoundError: when there was none to begin with.
        """
        self._delete(api_datasets.delete_dataset(self._dataset(dataset)))

    def submit_change(self, dataset: int | str, action: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
        """Insert, update or delete rows as versioned changes, 1,000 rows each; gives the ids of the jobs.

        :param dataset: its id.
        :param action: ``INSERT``, ``UPDATE`` or ``DELETE``.
        :param rows: each with an ``amigo_id`` that the caller chooses (the same row, the same id), so that
            what is sent twice changes nothing the second time.
        :raises InputError: naming the rows without an id, before any request.
        """
        where, number = self._dataset(dataset), str(dataset).strip()
        every = list(api_datasets.batches(action, rows))
        return [self.send(api_datasets.submit_change(where, number, action, data)) for data in every]

    def revert(self, dataset: int | str, state: str) -> str:
        """Put a dataset back to an earlier state, as a new one; gives the id of the job.

        :param dataset: its id.
        :param state: the hash of the state to go back to.
        """
        return self.send(api_datasets.revert(self._dataset(dataset), state))

    def start_export(self, dataset: int | str, file_format: str) -> str:
        """Have the service write a file of a dataset; gives the id of the job, whose ``extra`` has the link.

        :param dataset: its id.
        :param file_format: as the service knows it, such as ``KML``.
        """
        return self.send(api_datasets.export(self._dataset(dataset), file_format))

    def _dataset(self, dataset: int | str) -> api.Place:
        return api.dataset_path(dataset, in_project=self.has_project)

    def get_job(self, job_id: str) -> dict[str, Any]:
        """Give a job: its ``status`` (PENDING, STARTED, SUCCESS, FAILURE) and ``extra``.

        :param job_id: as the request that started the job gave it.
        """
        return self.send(api.job(job_id))

    async def aget_job(self, job_id: str) -> dict[str, Any]:
        """Give a job, from an event loop.

        :param job_id: as the request that started the job gave it.
        """
        return await self.asend(api.job(job_id))

    def upload_file(
        self,
        path: str,
        *,
        dataset: int | str | None = None,
        options: Mapping[str, str] | None = None,
        upload_id: str = "",
        started: Callable[[str], None] | None = None,
    ) -> str:
        """Send a file to become a dataset; gives the id of the job that imports it.

        Below 8 MB it goes in one piece, else in chunks with a checksum, as the vendor's client does it.

        :param path: a local path or any URL that ``ObjectStoragePath`` takes; its ending tells the format.
        :param dataset: id of the dataset whose content the file replaces; a new dataset without it.
        :param options: further form fields, such as ``{"csv_props.delimiter": ";"}``.
        :param upload_id: of an upload in chunks that broke off, to go on with it.
        :param started: told the id of an upload in chunks, once it has begun.
        :raises InputError: when there is no such file, or it is empty.
        :raises AmbiguousWriteError: when the answer was lost that tells the job.
        """
        from airflow_provider.amigocloud.uploads import upload

        self.need_project()
        fields = dict(options or {})
        if dataset is not None:
            number = api.dataset_path(dataset, in_project=True).path.rpartition("/")[2]
            fields = {"dataset_write_action": "overwrite", "dataset_id": number, **fields}
        return upload(self.send, path, fields, upload_id, started or (lambda _: None))
