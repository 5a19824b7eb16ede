"""Switches: behaviour that the vendor's docs leave open, and the limits of the service."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from airflow_provider.sandbox.switches import Number, Origin, Rate, Seconds, SwitchBoard

SIMPLE_UPLOAD_BYTES = 8_000_000
"""Maximum bytes of a file that is uploaded in one piece."""


@dataclass(eq=False)
class Switches(SwitchBoard):
    """Behaviour of the emulated account.

    :param bad_token_status: status of the reply to an invalid or expired token.
    :param project_token_jobs: project tokens may read jobs.
    :param page_clamp: maximum rows of a page of SQL.
    :param page_default: rows of a page of SQL when the request names no limit.
    :param list_clamp: maximum items of a page of a list.
    :param list_default: items of a page of a list when the request names no limit.
    :param job_latency: seconds that a job takes.
    :param job_failures: errors that the next jobs fail with, one for each job.
    :param dataset_lag: seconds until a new dataset is visible.
    :param empty_pages: number of next pages that are empty, each with a ``next`` link.
    :param next_origin: another origin for ``next``; null for the request's own.
    :param count_is_page: the ``count`` of a query is the number of the page's rows, not of all.
    :param count_error: added to every ``count``.
    :param unstable_order: queries without ORDER BY come in another order each time.
    :param readable_states: number of latest states of a dataset that can be read; null for all.
    :param unknown_state: a read of another state is ``refused`` (400), ``missing`` (404), or gets the rows of
        the ``latest`` state.
    :param post_select: queries may be sent by POST.
    :param sql_error_status: status of the reply to SQL that the database refuses.
    :param requests_per_second: maximum requests a second to the account; null for no limit.
    :param retry_after: text of a 429's ``Retry-After`` header; null leaves it out, which no document names.
    :param statement_seconds: seconds after which a statement is cancelled.
    :param compress: gzip for clients that accept it.
    :param check_md5: the checksums of uploads are verified.
    :param simple_upload_limit: maximum bytes of a file that is uploaded in one piece.
    :param foreign_exports: exported files lie on the storage origin.
    :param photo_redirect: a photo is a redirect to a signed link on the storage origin, or else the photo.
    :param describes_fields: OPTIONS of a project and of a dataset describe their fields, as Django REST
        framework does; false refuses it (405).
    :param moved_socket: the settings name another path of the socket, and there it is.
    :param old_sockets: the socket takes clients of Engine.IO 3.
    :param new_sockets: the socket takes clients of Engine.IO 4.
    :param number_form: values of the type number are numbers of JSON, or texts.
    :param boolean_form: booleans are those of JSON, or the texts t and f.
    :param time_form: times have a blank after the date, or a T.
    :param json_form: values of the types json and jsonb are values of JSON, or texts.
    :param array_form: arrays are lists, or texts such as {1,2}.
    :param empty_geometry: a missing geometry is null, or an empty text.
    :param collation: order of texts as the embedded engine's catalog names it: by bytes, by the rules of a
        language, or ``hidden``, a refusal. It changes nothing but the catalog.
    :param key_index: the embedded engine's catalog shows an index on ``amigo_id``; null refuses to tell.
    :param repeated_insert: a change that inserts an ``amigo_id`` which is there replaces the row, is ignored,
        is refused (the job fails), or adds a row with another one.
    :param keyed_changes: changes that update or delete a row by its ``amigo_id`` are applied, ignored, or
        refused.
    :param affected_rows: fields of the reply to a statement that writes: ``count``, ``total_rows``, or both.
    :param export_formats: formats of exports; the content is KML in any case.
    :param open_exports: the file of an export can be read without a token.
    :param shown_job_status: status that the API returns instead of PENDING and STARTED; null for none.
    :param deleted_dataset_status: status of the reply to the DELETE of a dataset that does not exist.
    :param strict: refuse what no client of the vendor's sends; false gives a 429 its ``Retry-After``, too.
    """

    bad_token_status: Literal[401, 403] = 401
    project_token_jobs: bool = False
    page_clamp: Number = 1000
    page_default: Number = 1000
    list_clamp: Number = 100
    list_default: Number = 20
    job_latency: Seconds = 0.5
    job_failures: list[str] = field(default_factory=list)
    dataset_lag: Seconds = 0.0
    empty_pages: Number = 0
    next_origin: Origin | None = None
    count_is_page: bool = False
    count_error: int = 0
    unstable_order: bool = False
    readable_states: Number | None = None
    unknown_state: Literal["refused", "missing", "latest"] = "refused"
    post_select: bool = True
    sql_error_status: Literal[400, 409, 422, 500] = 400
    requests_per_second: Rate | None = None
    retry_after: str | None = None
    statement_seconds: Seconds = 30.0
    compress: bool = False
    check_md5: bool = True
    simple_upload_limit: Number = SIMPLE_UPLOAD_BYTES
    foreign_exports: bool = False
    photo_redirect: bool = True
    describes_fields: bool = True
    moved_socket: bool = False
    old_sockets: bool = True
    new_sockets: bool = False
    number_form: Literal["number", "text"] = "number"
    boolean_form: Literal["boolean", "text"] = "boolean"
    time_form: Literal["blank", "T"] = "blank"
    json_form: Literal["value", "text"] = "value"
    array_form: Literal["list", "text"] = "list"
    empty_geometry: Literal["null", "text"] = "null"
    collation: Literal["bytes", "language", "hidden"] = "bytes"
    key_index: bool | None = True
    repeated_insert: Literal["replace", "ignore", "refuse", "add"] = "replace"
    keyed_changes: Literal["apply", "ignore", "refuse"] = "apply"
    affected_rows: Literal["both", "count", "total_rows"] = "both"
    export_formats: list[str] = field(default_factory=lambda: ["KML"])
    open_exports: bool = False
    shown_job_status: str | None = None
    deleted_dataset_status: Literal[204, 404] = 404
    strict: bool = True
