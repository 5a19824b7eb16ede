"""Forms with a file in them, as bytes that can be sent again."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode

from airflow_provider.amigocloud.pagination import Page, read_page
from airflow_provider.core.http.call import SUCCESS, UNSET, Call, Params, pairs, segment
from airflow_provider.core.http.reply import Reply
from airflow_provider.errors import InputError, RequestRejectedError


def form_with_file(filename: str, content: bytes, fields: Mapping[str, str]) -> tuple[bytes, str]:
    """Give a form with a file in it, and its content type."""
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


LONGEST_QUERY = 3000
"""Bytes of a statement, percent-encoded, above which it goes by POST: gateways cut URLs at 4 to 8 KB."""


SIMPLE_UPLOAD = 8_000_000
"""Bytes below which the vendor's client sends a file in one piece."""

NO_PROJECT = (
    "needs the extra 'project_url' (such as users/123/projects/1234): SQL and uploads belong to a project"
)

_PROJECT = re.compile(r"/?((?:(?:users|organizations)/[^/]+/)?projects/[^/?#]+)/?")


def project_base(host: str, project_url: str) -> str:
    """Give the base URL of a project.

    :param host: the API root.
    :param project_url: ``users/123/projects/1234``, ``projects/1234``, or an absolute URL below the API root.
    :raises InputError: when it is none of these.
    """
    path = project_url.removeprefix(host)
    match = _PROJECT.fullmatch(path)
    if match is None:
        raise InputError(
            "must look like users/123/projects/1234, or be such a URL below the host", "extra 'project_url'"
        )
    return f"{host}/{match[1]}"


class Place(NamedTuple):
    """Where a request goes.

    :param base: which of the connection's base URLs, ``api`` or ``project``.
    """

    base: str
    path: str


def locate(url: str) -> Place:
    """Say where a URL leads, by the rules of the vendor's client.

    :param url: relative to the project (or, without one, to the API root); with a leading ``/`` always from
        the API root; or absolute, which is taken for the connection's own origin only.
    """
    if not url:
        raise InputError("the URL is empty")
    if url.startswith(("http://", "https://")):
        return Place("api", url)
    return Place("api" if url.startswith("/") else "project", url)


def read_body(reply: Reply) -> Any:
    """Read a reply as JSON; None when it is empty.

    :raises RequestRejectedError: for an error that comes with a good status.
    """
    if not reply.body.strip():
        return None
    body = reply.json()
    if isinstance(body, dict) and "error_code" in body:
        raise RequestRejectedError(reply.status)
    return body


def read_bytes(reply: Reply) -> bytes:
    """Read a reply as it is."""
    return reply.body


def request(
    method: str, url: str, params: Params | None = None, data: Any = None, *, raw: bool = False
) -> Call[Any]:
    """Ask for anything.

    :param url: see :func:`locate`.
    :param data: sent as JSON, unless it is None.
    :param raw: give the body's bytes instead of reading it as JSON.
    """
    where = locate(url)
    return Call(
        method,
        where.path,
        params,
        json=UNSET if data is None else data,
        base=where.base,
        repeatable=method not in {"POST", "PATCH"},
        read=read_bytes if raw else read_body,
    )


def listing(url: str, params: Params | None = None) -> Call[Any]:
    """Ask for the first page of a list, or for anything else; a long SQL query goes by POST."""
    query = dict(pairs(params))
    where = locate(url)
    if len(urlencode({"query": query.get("query", "")})) <= LONGEST_QUERY:
        return Call("GET", where.path, params, base=where.base, read=read_body)
    text = query.pop("query")
    return Call("POST", where.path, query, json={"query": text}, base=where.base, read=read_body)


def me() -> Call[dict[str, Any]]:
    """Ask for the user whom the token belongs to; refused for a project's token (vendor's docs)."""
    return Call("GET", "me", read=read_body, name="read the user")


def project() -> Call[dict[str, Any]]:
    """Ask for the connection's project, as the vendor's client does to try a project's token."""
    return Call("GET", "/", base="project", read=read_body, name="read the project")


def sql(query: str, **params: Any) -> Call[Page]:
    """Run a query; gives one page of its rows.

    :param query: SQL that only reads.
    :param params: ``limit`` (rows; the service may give fewer), ``offset``, and for a snapshot ``state`` with
        ``dataset_id`` (seen in the vendor's samples).
    """
    return replace(listing("sql", {"query": query, **params}), read=read_page, name="run a query")


def list_page(url: str, limit: int) -> Call[Page]:
    """Ask for the first page of a list.

    :param limit: items to ask for, unless the URL says it; the service gives 20 by default (vendor's docs),
        and at most as many as it likes.
    """
    where = locate(url)
    asked = "limit" in parse_qs(url.partition("?")[2])
    params = None if asked else {"limit": limit}
    return Call("GET", where.path, params, base=where.base, read=read_page, name="read a list")


def write_sql(statement: str) -> Call[int]:
    """Run a statement that writes; gives how many rows it affected."""
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
    """Read a dataset's id.

    :param dataset: a number, or its digits.
    :raises InputError: when it is none.
    """
    number = str(dataset).strip()
    if not number.isdecimal() or isinstance(dataset, bool):
        raise InputError(f"must be the id of a dataset, a whole number, not {dataset!r}", "dataset")
    return int(number)


def dataset_path(dataset: int | str, *, in_project: bool) -> Place:
    """Say where a dataset is.

    :param dataset: its id, as number or digits.
    :param in_project: whether the connection names the project; without one the service finds the dataset
        by zeros for owner and project (seen in clients).
    :raises InputError: when the id is none.
    """
    number = dataset_number(dataset)
    if in_project:
        return Place("project", f"datasets/{number}")
    return Place("api", f"users/0/projects/0/datasets/{number}")


def master(where: Place) -> Call[str]:
    """Ask for the hash of a dataset's latest state; it changes with every change of the data.

    :param where: as :func:`dataset_path` gives it.
    """
    return Call(
        "GET",
        f"{where.path}/master",
        base=where.base,
        read=lambda reply: str(read_body(reply)["master"]),
        name="read a dataset's state",
    )


def websocket_session(where: Place | None = None) -> Call[str]:
    """Ask for a session: what a socket authenticates with. How long it is good for is not documented.

    :param where: the dataset to listen to, as :func:`dataset_path` gives it; None for the user's events.
        A project's token is refused.
    """
    path = "me/start_websocket_session" if where is None else f"{where.path}/start_websocket_session"
    return Call(
        "GET",
        path,
        base=where.base if where else "api",
        read=lambda reply: str(read_body(reply)["websocket_session"]),
        name="start a websocket session",
    )


def saved_query(query_id: int | str) -> Call[str]:
    """Ask for the text of one of the project's saved queries."""
    return Call(
        "GET",
        f"queries/{segment(query_id)}",
        base="project",
        read=lambda reply: str(read_body(reply)["query"]),
        name="read a saved query",
    )


def job(job_id: str) -> Call[dict[str, Any]]:
    """Ask for a job; its ``status`` is PENDING, STARTED, SUCCESS or FAILURE (seen in clients).

    A project's token may be refused here, because jobs belong to the user.
    """
    return Call("GET", f"me/jobs/{segment(job_id)}", read=read_body, name="read a job")


def upload(filename: str, content: bytes, fields: Mapping[str, str]) -> Call[str]:
    """Send a file in one piece, to become a dataset; gives the job's id.

    :param filename: its ending tells the service the format.
    :param fields: further form fields, such as ``csv_props.delimiter`` (seen in the vendor's samples).
    """
    body, kind = form_with_file(filename, content, fields)
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


class Progress(NamedTuple):
    """How far a chunked upload has come.

    :param upload_id: its id, empty when the service did not say.
    :param offset: bytes that have arrived.
    """

    upload_id: str
    offset: int


def upload_chunk(filename: str, chunk: bytes, offset: int, total: int, upload_id: str) -> Call[Progress]:
    """Send a piece of a file (the headers and fields are those of the vendor's client).

    It may be sent twice: the service refuses a piece that does not follow the last one, and says how far it
    has come (so does the library that its replies look like).

    :param offset: bytes before the piece.
    :param total: bytes of the file.
    :param upload_id: empty for the first piece.
    """
    body, kind = form_with_file(filename, chunk, {"upload_id": upload_id} if upload_id else {})
    place = f"bytes {offset}-{offset + len(chunk) - 1}/{total}"
    return Call(
        "POST",
        "datasets/chunked_upload",
        base="project",
        content=body,
        headers={"Content-Type": kind, "Content-Range": place},
        success_statuses=SUCCESS | {400},
        read=lambda reply: _progress(reply, upload_id),
        name=f"upload {place}",
    )


def _progress(reply: Reply, upload_id: str) -> Progress:
    body = reply.json()
    if reply.status == 400 and "offset" not in body:
        raise RequestRejectedError(reply.status)
    return Progress(str(body.get("upload_id") or upload_id), int(body["offset"]))


def complete_upload(filename: str, upload_id: str, md5: str, fields: Mapping[str, str]) -> Call[str]:
    """Say that all pieces are sent; gives the id of the job that imports the file."""
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
    """Read the id of the job that a request started."""
    return str(read_body(reply)["job"])
