"""Hook for AmigoCloud."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from airflow_provider.amigocloud import api, api_datasets
from airflow_provider.amigocloud.pagination import AsyncCursor, Cursor, Row, awalk, walk
from airflow_provider.amigocloud.realtime.callbacks import ListenerHook
from airflow_provider.amigocloud.values import path_problems
from airflow_provider.core.http.call import Call, Params
from airflow_provider.core.http.twins import blocking, threaded_twin, twin
from airflow_provider.errors import AmbiguousWriteError, InputError, NotFoundError

T = TypeVar("T")


class AmigoCloudHook(ListenerHook):
    """Hook that reads and writes AmigoCloud: any URL of its API, lists, SQL, jobs, uploads.

    URLs follow the rules of the vendor's client: ``datasets`` is below the connection's project (below the
    API root if it names none), and ``/me`` is always below the API root. An absolute URL must have the
    connection's own origin. As this API requires, the token is a query parameter of every request; it is
    stored nowhere else.

    :param amigocloud_conn_id: id of the Airflow connection: ``password`` is the API token, ``host`` the API
        root, the extra ``project_url`` the project (``users/123/projects/1234``).
    """

    # -- any URL

    @blocking
    async def get(self, url: str, params: Params | None = None, *, raw: bool = False) -> Any:
        """Send a GET request, and return the reply.

        :param url: relative to the project or (``/me``) to the API root, or absolute on the own origin.
        :param params: query parameters; the ``query`` of ``sql`` must be one that reads.
        :param raw: whether to return the bytes of the body (such as a picture) instead of its JSON.
        :raises InputError: when a parameter has no value, or the SQL is no query.
        :raises ProviderError: see :mod:`airflow_provider.errors`.
        """
        return await self.asend(api.request("GET", *api.read_request(url, params), raw=raw))

    @blocking
    async def post(
        self, url: str, data: Any = None, params: Params | None = None, *, raw: bool = False
    ) -> Any:
        """Send a POST request with JSON; it is not retried where a retry could act twice.

        :param url: see :meth:`get`.
        :param data: body, any JSON; None sends no body.
        :param params: query parameters.
        :param raw: see :meth:`get`.
        :raises AmbiguousWriteError: when there was no response: the request may have taken effect.
        """
        return await self.asend(api.request("POST", url, params, data, raw=raw))

    @blocking
    async def put(
        self, url: str, data: Any = None, params: Params | None = None, *, raw: bool = False
    ) -> Any:
        """Send a PUT request with JSON.

        :param url: see :meth:`get`.
        :param data: body, any JSON; None sends no body.
        :param params: query parameters.
        :param raw: see :meth:`get`.
        """
        return await self.asend(api.request("PUT", url, params, data, raw=raw))

    @blocking
    async def patch(
        self, url: str, data: Any = None, params: Params | None = None, *, raw: bool = False
    ) -> Any:
        """Send a PATCH request with JSON; it is not retried where a retry could act twice.

        :param url: see :meth:`get`.
        :param data: body, any JSON; None sends no body.
        :param params: query parameters.
        :param raw: see :meth:`get`.
        """
        return await self.asend(api.request("PATCH", url, params, data, raw=raw))

    @blocking
    async def delete(
        self, url: str, data: Any = None, params: Params | None = None, *, raw: bool = False
    ) -> Any:
        """Send a DELETE request; return None when the reply is empty.

        :param url: see :meth:`get`.
        :param data: body, any JSON; None sends no body.
        :param params: query parameters.
        :param raw: see :meth:`get`.
        :raises NotFoundError: when the URL did not exist before.
        """
        return await self._delete(api.request("DELETE", url, params, data, raw=raw))

    async def _delete(self, call: Call[T]) -> T | None:
        try:
            return await self.asend(replace(call, repeatable=False))
        except AmbiguousWriteError:
            with suppress(NotFoundError):  # gone: the request without a response has deleted it
                return await self.asend(call)
            return None

    def get_cursor(self, url: str, params: Params | None = None) -> Cursor:
        """Return a cursor over a list (projects, datasets, rows of a query) that fetches pages on demand.

        :param url: see :meth:`get`.
        :param params: query parameters; ``{"query": sql}`` for ``sql``, sent by POST if it is long.
        :raises InputError: when a parameter is null, which would select everything, or the SQL is no query.
        """
        return Cursor(self.send, api.listing(*api.read_request(url, params)))

    def aget_cursor(self, url: str, params: Params | None = None) -> AsyncCursor:
        """Return a cursor over the same list for event loops; see :meth:`get_cursor`.

        :param url: see :meth:`get`.
        :param params: see :meth:`get_cursor`.
        """
        return AsyncCursor(self.asend, api.listing(*api.read_request(url, params)))

    # -- SQL

    @blocking
    async def get_records(self, sql: str) -> list[Row]:
        """Run a query, and return all its rows; for results that fit into memory.

        :param sql: the query.
        :raises InputError: when the SQL is no query, or the connection names no project.
        """
        self.need_project()
        query = api.query_text(sql)
        return [row async for page in awalk(self.asend, api.sql(query)) for row in page.decoded()]

    @blocking
    async def get_first(self, sql: str) -> Row | None:
        """Run a query, and return its first row, or None if there is none.

        :param sql: the query.
        :raises InputError: when the SQL is no query, or the connection names no project.
        """
        self.need_project()
        query = api.query_text(sql)
        rows = (await self.asend(api.sql(query, limit=1))).decoded()
        return rows[0] if rows else None

    def get_df(self, sql: str) -> Any:
        """Run a query, and return all rows as a pandas DataFrame, which has the columns even without rows.

        :param sql: the query.
        :raises InputError: when the SQL is no query, or pandas is not installed.
        """
        query = api.query_text(sql)
        try:
            import pandas as pd  # type: ignore[import-untyped]
        except ImportError:
            raise InputError("a DataFrame needs pandas: install the package", "get_df") from None
        self.need_project()
        rows: list[Row] = []
        names: list[str] | None = None
        for page in walk(self.send, api.sql(query)):
            rows += page.decoded()
            names = names or [column.name for column in page.columns or ()] or None
        return pd.DataFrame(rows, columns=names)

    @blocking
    async def run(self, sql: str) -> int:
        """Run a statement that writes, and return the number of affected rows.

        :param sql: the statement.
        :raises InputError: when it is no single statement, or reads only.
        :raises AmbiguousWriteError: when there was no response: the statement may have taken effect.
        """
        self.need_project()
        statement = api.write_text(sql)
        return await self.asend(api.write_sql(statement))

    @blocking
    async def get_saved_query(self, query_id: int | str) -> str:
        """Return the SQL of one of the project's saved queries.

        :param query_id: id of the query.
        :raises InputError: when the id is empty, or the connection names no project.
        """
        call = api.saved_query(query_id)
        self.need_project()
        return await self.asend(call)

    # -- datasets and jobs

    @blocking
    async def get_master(self, dataset: int | str) -> str:
        """Return the hash of a dataset's latest state; it differs after every change. The reply is tiny.

        :param dataset: id of the dataset.
        """
        return await self.asend(api.master(self._dataset(dataset)))

    @blocking
    async def get_schema(self, dataset: int | str) -> list[dict[str, Any]]:
        """Return a dataset's fields: name, type, nullable, default and more.

        :param dataset: id of the dataset.
        """
        return await self.asend(api_datasets.schema(self._dataset(dataset)))

    @blocking
    async def create_dataset(self, name: str, schema: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """Create an empty dataset, and return its ``id``, ``name``, ``url`` and ``job``.

        :param name: name that users see.
        :param schema: fields, each with ``name`` and ``type``.
        :raises AmbiguousWriteError: when there was no response: the dataset may have been created.
        """
        self.need_project()
        return await self.asend(api_datasets.create_dataset(name, schema))

    @blocking
    async def delete_dataset(self, dataset: int | str) -> None:
        """Delete a dataset with all its states.

        :param dataset: id of the dataset.
        :raises NotFoundError: when the dataset did not exist before.
        """
        await self._delete(api_datasets.delete_dataset(self._dataset(dataset)))

    @blocking
    async def submit_change(
        self, dataset: int | str, action: str, rows: Sequence[Mapping[str, Any]]
    ) -> list[str]:
        """Insert, update or delete rows as versioned changes of 1,000 rows; return the ids of the jobs.

        :param dataset: id of the dataset.
        :param action: ``INSERT``, ``UPDATE`` or ``DELETE``.
        :param rows: rows, each with an ``amigo_id`` that the caller chooses (always the same id for the same
            row), so that a retry is idempotent. A NaN is a value that the row does not have, None is null.
        :raises InputError: when rows have no id, a repeated id, or a value without a JSON form; with all of
            them, before any request.
        """
        where, number = self._dataset(dataset), str(api.dataset_number(dataset))
        # A list, so that all rows are validated before the first request.
        batches = list(api_datasets.batches(action, rows))
        return [await self.asend(api_datasets.submit_change(where, number, action, data)) for data in batches]

    @blocking
    async def revert(self, dataset: int | str, state: str) -> str:
        """Revert a dataset to an earlier state, by a new state equal to it; return the id of the job.

        :param dataset: id of the dataset.
        :param state: hash of the earlier state.
        """
        return await self.asend(api_datasets.revert(self._dataset(dataset), state))

    @blocking
    async def start_export(self, dataset: int | str, file_format: str) -> str:
        """Start an export by the service, and return the id of the job; the job's ``extra`` has the link.

        :param dataset: id of the dataset.
        :param file_format: the service's name of the format, such as ``KML``.
        """
        return await self.asend(api_datasets.export(self._dataset(dataset), file_format))

    def _dataset(self, dataset: int | str) -> api.Location:
        return api.dataset_path(dataset, in_project=self.has_project)

    @blocking
    async def get_job(self, job_id: str) -> dict[str, Any]:
        """Return a job: its ``status`` (PENDING, STARTED, SUCCESS, FAILURE) and ``extra``.

        :param job_id: id of the job.
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
        """Upload a file as a dataset, and return the id of the job that imports it.

        A file below 8 MB is sent in one request, a larger one in chunks with a checksum, as the vendor's
        client does.

        :param path: local path, or any URL that ``ObjectStoragePath`` accepts; its suffix tells the format.
        :param dataset: id of the dataset whose content the file replaces; None for a new dataset.
        :param options: further form fields, such as ``{"csv_props.delimiter": ";"}``.
        :param upload_id: id of an interrupted upload in chunks, to resume it.
        :param started: called with the id of an upload in chunks once it has started.
        :raises InputError: when the file does not exist or is empty.
        :raises AmbiguousWriteError: when there was no response that names the job.
        """
        from airflow_provider.amigocloud.uploads import Chunks, read_fields, upload

        self.need_project()
        number = None if dataset is None else str(api.dataset_number(dataset))
        fields, problems = read_fields(options, number)
        if problems := [*path_problems(path, "path"), *problems]:
            raise InputError(problems, "upload_file")
        return upload(self.send, path, fields, Chunks(upload_id, started))

    # -- for event loops --------------------------------------------------------------------------

    aget = twin(get)
    apost = twin(post)
    aput = twin(put)
    apatch = twin(patch)
    adelete = twin(delete)
    aget_records = twin(get_records)
    aget_first = twin(get_first)
    aget_df = threaded_twin(get_df)
    arun = twin(run)
    aget_saved_query = twin(get_saved_query)
    aget_master = twin(get_master)
    aget_schema = twin(get_schema)
    acreate_dataset = twin(create_dataset)
    adelete_dataset = twin(delete_dataset)
    asubmit_change = twin(submit_change)
    arevert = twin(revert)
    astart_export = twin(start_export)
    aget_job = twin(get_job)
    aupload_file = threaded_twin(upload_file)
