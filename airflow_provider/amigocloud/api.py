"""Requests of AmigoCloud's API as data: URLs, SQL, datasets, jobs and uploads."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar
from urllib.parse import parse_qs, parse_qsl, urlencode

from airflow_provider.amigocloud.pagination import Page, read_page, refuse_non_finite, without_token
from airflow_provider.amigocloud.values import given_params, read_id, read_json, text_problems
from airflow_provider.core.http.call import SUCCESS, UNSET, Call, Params, pairs, segment
from airflow_provider.core.http.reply import Reply
from airflow_provider.core.input.values import UnreadableValueError, ValueReader, read_integer, shown
from airflow_provider.core.redaction import loggable
from airflow_provider.errors import InputError, RequestRejectedError

T = TypeVar("T")

MAX_QUERY_BYTES = 3000
"""Maximum percent-encoded bytes of a query in a URL; a longer one is sent by POST: gateways cut URLs at 4 to
8 KB."""

SIMPLE_UPLOAD = 8_000_000
"""Bytes below which a file is sent in one request, as the vendor's client does."""

NO_PROJECT = (
    "needs the extra 'project_url' (such as users/123/projects/1234): SQL and uploads belong to a project"
)

_PROJECT = r"/?((?:(?:users|organizations)/[^/]+/)?projects/[^/?#]+)/?"


def multipart_form(filename: str, content: bytes, fields: Mapping[str, str]) -> tuple[bytes, str]:
    """Return a form with a file as bytes, which can be sent repeatedly, and its content type.

    :param filename: name of the file.
    :param content: bytes of the file.
    :param fields: further form fields.
    """
    boundary = uuid.uuid4().hex
    parts = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    ]
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="datafile"; filename="{_quoted(filename)}"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    body = "".join([*parts, head]).encode() + content + f"\r\n--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def _quoted(text: str) -> str:
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def project_base(host: str, project_url: str) -> str:
    """Return the base URL of a project.

    :param host: URL of the API root.
    :param project_url: ``users/123/projects/1234``, ``projects/1234``, or an absolute URL below the API root.
    :raises InputError: when it has none of these forms.
    """
    path = project_url.removeprefix(host)
    match = re.fullmatch(_PROJECT, path)
    if match is None:
        raise InputError(
            "must look like users/123/projects/1234, or be such a URL below the host", "extra 'project_url'"
        )
    return f"{host}/{match[1]}"


class Location(NamedTuple):
    """Location of a resource.

    :param base: name of the connection's base URL, ``api`` or ``project``.
    :param path: path below it, or an absolute URL.
    """

    base: str
    path: str


def locate(url: str) -> Location:
    """Return the location of a URL, by the rules of the vendor's client.

    :param url: relative to the project (or to the API root if the connection names no project); with a
        leading ``/`` relative to the API root; or absolute, on the connection's own origin only.
    :raises InputError: when the URL is empty.
    """
    if not str(url or "").strip():
        raise InputError("the URL is empty")
    if url.startswith(("http://", "https://")):
        return Location("api", url)
    return Location("api" if url.startswith("/") else "project", url)


_LINKS = ("next", "previous")
"""Links of a list, in which the service repeats the request's parameters."""


def read_body(reply: Reply) -> Any:
    """Return a reply's JSON, without the token that its links repeat; None when the body is empty.

    :raises RequestRejectedError: for an error with a success status.
    :raises InputError: when the reply holds NaN.
    """
    if not reply.body.strip():
        return None
    try:
        body = reply.json()
    except ValueError:
        refuse_non_finite(reply.body)
        raise
    if isinstance(body, dict) and "error_code" in body:
        raise RequestRejectedError(reply.status)
    for name in _LINKS if isinstance(body, dict) else ():
        if isinstance(link := body.get(name), str) and "token=" in link:
            body[name] = without_token(link)
    return body


def read_bytes(reply: Reply) -> bytes:
    """Return the bytes of a reply's body."""
    return reply.body


def request(
    method: str, url: str, params: Params | None = None, data: Any = None, *, raw: bool = False
) -> Call[Any]:
    """Return a request to any URL.

    :param method: HTTP method, upper case.
    :param url: see :func:`locate`.
    :param params: query parameters.
    :param data: body, sent as JSON; None sends no body.
    :param raw: whether to read the reply as bytes instead of JSON.
    """
    where = locate(url)
    return Call(
        method,
        where.path,
        list(given_params(params)),
        json=UNSET if data is None else read_json(data, "data"),
        base=where.base,
        repeatable=method not in {"POST", "PATCH"},
        read=read_bytes if raw else read_body,
    )


def listing(url: str, params: Params | None = None) -> Call[Any]:
    """Return a request that reads a URL, such as the first page of a list; a long query is sent by POST.

    :param url: see :func:`locate`.
    :param params: query parameters; ``query`` is SQL.
    """
    query = dict(pairs(params))
    where = locate(url)
    if len(urlencode({"query": query.get("query", "")})) <= MAX_QUERY_BYTES:
        return Call("GET", where.path, params, base=where.base, read=read_body)
    sql_text = query.pop("query")
    return Call("POST", where.path, query, json={"query": sql_text}, base=where.base, read=read_body)


def me() -> Call[dict[str, Any]]:
    """Return the request that reads the token's user; refused for a project's token (vendor's docs)."""
    return Call("GET", "me", read=_read_resource, name="read the user")


def project() -> Call[dict[str, Any]]:
    """Return the request that reads the connection's project (the vendor's client checks tokens with it)."""
    return Call("GET", "/", base="project", read=_read_resource, name="read the project")


def _read_resource(reply: Reply) -> dict[str, Any]:
    body = read_object(reply)
    if "id" not in body:
        raise ValueError("the reply is no JSON object with an id")
    return body


def read_object(reply: Reply) -> dict[str, Any]:
    """Return a reply's JSON object.

    :raises RequestRejectedError: for an error with a success status.
    """
    body = read_body(reply)
    if not isinstance(body, dict):
        raise ValueError("the reply is no JSON object")
    return body


def text_of(value: Any) -> str:
    """Return a value that must be a text, and not empty.

    :raises ValueError: for any other value.
    """
    if not isinstance(value, str) or not value:
        raise ValueError("a text was expected")
    return value


def sql(query: str, **params: Any) -> Call[Page]:
    """Return the request that runs a query, and reads the first page of its rows.

    :param query: SQL that reads only.
    :param params: ``limit`` (rows; the service may return fewer), ``offset``, and for a snapshot ``state``
        with ``dataset_id`` (seen in the vendor's samples).
    """
    return replace(listing("sql", {"query": query, **params}), read=read_page, name="run a query")


def list_page(url: str, limit: int) -> Call[Page]:
    """Return the request that reads the first page of a list.

    :param url: see :func:`locate`.
    :param limit: items per page, unless the URL has a ``limit``; the service returns 20 by default (vendor's
        docs), and may return fewer than requested.
    """
    path, params = read_request(url)
    where = locate(path)
    if "limit" not in parse_qs(url.partition("?")[2]):
        params.append(("limit", limit))
    return Call("GET", where.path, params, base=where.base, read=read_page, name="read a list")


def query_text(query: Any) -> str:
    """Return the text of a query to send.

    :param query: SQL.
    :raises InputError: when it is not one query, which reads only.
    """
    from airflow_provider.amigocloud.sql.statement import read_query

    return read_query(query).text


def write_text(statement: Any) -> str:
    """Return the text of a statement to send that writes.

    :param statement: SQL.
    :raises InputError: when it is not one statement, or reads only.
    """
    from airflow_provider.amigocloud.sql.statement import read_write

    return read_write(statement).text


def write_sql(statement: str) -> Call[int]:
    """Return the request that runs a statement that writes, and reads the number of affected rows."""
    return Call(
        "POST",
        "sql",
        json={"query": statement},
        base="project",
        repeatable=False,
        read=_affected,
        name="run a statement",
    )


def _affected(reply: Reply) -> int:
    body = read_body(reply)
    count = body.get("count")
    # One of the vendor's samples reads ``count``, another client ``total_rows``.
    return int(body["total_rows"] if count is None else count)


def dataset_number(dataset: int | str) -> int:
    """Return a dataset's id as a number.

    :param dataset: the id as a number, or as its digits.
    :raises InputError: when it is not a whole number of at least 1.
    """
    try:
        return read_integer(ValueReader().read(dataset), least=1)
    except UnreadableValueError:
        text = f"must be the id of a dataset, a whole number, not {shown(dataset)}"
        raise InputError(text, "dataset") from None


def required(value: Any, name: str) -> str:
    """Return an id or a name that a request cannot do without, as text.

    :param value: the argument.
    :param name: its name, for the error.
    :raises InputError: when it is empty, or the text that a template makes of a missing value.
    """
    if problems := text_problems(value, name):
        raise InputError(problems, name)
    return str(read_id(value))


def read_request(url: str, params: Any = None) -> tuple[str, list[tuple[str, Any]]]:
    """Return URL and query parameters of a request that reads; SQL in them is read as SQL.

    :param url: see :func:`locate`.
    :param params: see :func:`given_params`.
    :raises InputError: for a parameter without a value, and for SQL that is not one query.
    """
    given = list(given_params(params))
    path, _, query = locate(url).path.partition("?")
    if path.rstrip("/").rpartition("/")[2] != "sql":
        return url, given
    given = [*parse_qsl(query, keep_blank_values=True), *given]
    return url.partition("?")[0], [
        (name, query_text(value) if name == "query" else value) for name, value in given
    ]


def dataset_path(dataset: int | str, *, in_project: bool) -> Location:
    """Return the location of a dataset.

    :param dataset: id of the dataset, as a number or its digits.
    :param in_project: whether the connection names the project. Otherwise owner and project are 0, and the
        service finds the dataset by its id (seen in clients).
    :raises InputError: when the id is not a whole number.
    """
    number = dataset_number(dataset)
    if in_project:
        return Location("project", f"datasets/{number}")
    return Location("api", f"users/0/projects/0/datasets/{number}")


def master(where: Location) -> Call[str]:
    """Return the request that reads the hash of a dataset's latest state, which differs after every change.

    :param where: location of the dataset, see :func:`dataset_path`.
    """
    return read_part(where, "master", lambda value: loggable(text_of(value)), "read a dataset's state")


def read_part(where: Location, part: str, convert: Callable[[Any], T], name: str) -> Call[T]:
    """Return the request that reads one value of a dataset from the resource of the same name.

    :param where: location of the dataset, see :func:`dataset_path`.
    :param part: the resource, and the reply's key.
    :param convert: makes the result from the value.
    :param name: action of the request, for logs and errors.
    """
    return Call(
        "GET",
        f"{where.path}/{part}",
        base=where.base,
        read=lambda reply: convert(read_body(reply)[part]),
        name=name,
    )


def websocket_session(where: Location | None = None) -> Call[str]:
    """Return the request for a session, with which a socket authenticates; its lifetime is not documented.

    The service refuses a project's token.

    :param where: location of the dataset to subscribe to, see :func:`dataset_path`; None for the user's
        events.
    """
    path = "me/start_websocket_session" if where is None else f"{where.path}/start_websocket_session"
    return Call(
        "GET",
        path,
        base=where.base if where else "api",
        read=lambda reply: text_of(read_body(reply)["websocket_session"]),
        name="start a websocket session",
    )


def saved_query(query_id: int | str) -> Call[str]:
    """Return the request that reads the SQL of one of the project's saved queries."""
    return Call(
        "GET",
        f"queries/{segment(required(query_id, 'saved_query'))}",
        base="project",
        read=_read_saved_query,
        name="read a saved query",
    )


def _read_saved_query(reply: Reply) -> str:
    sql = read_body(reply)["query"]
    if not isinstance(sql, str):
        raise ValueError("the query is not a text")
    return sql


def job(job_id: str) -> Call[dict[str, Any]]:
    """Return the request that reads a job; its ``status`` is PENDING, STARTED, SUCCESS or FAILURE.

    The statuses are seen in clients. The service may refuse a project's token, because jobs belong to the
    user.
    """
    path = f"me/jobs/{segment(required(job_id, 'job_id'))}"
    return Call("GET", path, read=read_object, name="read a job")


def upload(filename: str, content: bytes, fields: Mapping[str, str]) -> Call[str]:
    """Return the request that uploads a file as a dataset, and reads the job's id.

    :param filename: name of the file; its suffix tells the service the format.
    :param content: bytes of the file.
    :param fields: further form fields, such as ``csv_props.delimiter`` (seen in the vendor's samples).
    """
    body, kind = multipart_form(filename, content, fields)
    return Call(
        "POST",
        "datasets/upload",
        base="project",
        content=body,
        headers={"Content-Type": kind},
        repeatable=False,
        read=read_job,
        name="upload a file",
    )


class UploadProgress(NamedTuple):
    """Progress of a chunked upload.

    :param upload_id: id of the upload; empty if the service sent none.
    :param offset: number of bytes that the service has received.
    """

    upload_id: str
    offset: int


def upload_chunk(
    filename: str, chunk: bytes, offset: int, total: int, upload_id: str
) -> Call[UploadProgress]:
    """Return the request that uploads a chunk of a file, with headers and fields of the vendor's client.

    The request is idempotent: the service refuses a chunk that does not follow the last one, and returns its
    progress (so does the library whose replies have the same form).

    :param filename: name of the file.
    :param chunk: bytes of the chunk.
    :param offset: number of bytes before the chunk.
    :param total: number of bytes of the file.
    :param upload_id: id of the upload; empty for the first chunk.
    """
    body, kind = multipart_form(filename, chunk, {"upload_id": upload_id} if upload_id else {})
    content_range = f"bytes {offset}-{offset + len(chunk) - 1}/{total}"
    return Call(
        "POST",
        "datasets/chunked_upload",
        base="project",
        content=body,
        headers={"Content-Type": kind, "Content-Range": content_range},
        success_statuses=SUCCESS | {400},
        read=lambda reply: _progress(reply, upload_id),
        name=f"upload {content_range}",
    )


def _progress(reply: Reply, upload_id: str) -> UploadProgress:
    body = reply.json()
    if reply.status == 400 and "offset" not in body:
        raise RequestRejectedError(reply.status)
    offset = int(body["offset"])
    if offset < 0:
        raise ValueError("the offset is negative")
    return UploadProgress(str(body.get("upload_id") or upload_id), offset)


def complete_upload(filename: str, upload_id: str, md5: str, fields: Mapping[str, str]) -> Call[str]:
    """Return the request that completes a chunked upload, and reads the id of the job that imports the file.

    :param filename: name of the file.
    :param upload_id: id of the upload.
    :param md5: hexadecimal checksum of the whole file.
    :param fields: further form fields.
    """
    return Call(
        "POST",
        "datasets/chunked_upload/complete",
        base="project",
        json={"upload_id": upload_id, "md5": md5, "filename": filename, **fields},
        repeatable=False,
        read=read_job,
        name="complete an upload",
    )


def read_job(reply: Reply) -> str:
    """Return the id of the job that a request has started."""
    job = read_body(reply)["job"]
    text = text_of(str(job) if isinstance(job, int) and not isinstance(job, bool) else job)
    return loggable(text)
