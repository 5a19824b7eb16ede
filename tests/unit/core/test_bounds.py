"""Bounds that users, services and other processes rely on are written out: to change one is a decision."""

from __future__ import annotations

from inspect import signature
from pathlib import Path
from typing import Any

from airflow_provider.core import redaction, triggers
from airflow_provider.core.files import (
    atomic,
    csv_reader,
    formats,
    listing,
    many_files,
    parquet,
    reader,
    row_operator,
    row_source,
    spool,
    storage,
)
from airflow_provider.core.files import manifest as export_manifest
from airflow_provider.core.files.paths import checks, folder, manifests, partitions, parts, patterns
from airflow_provider.core.http import (
    async_transport,
    auth,
    call,
    concurrency,
    endpoint,
    rate_limit,
    reply,
    retry,
    session,
    sync_transport,
    twins,
)
from airflow_provider.core.input import problems, row_numbers, scalars, values
from airflow_provider.core.limits import (
    address,
    fallback,
    machine,
    machine_semaphore,
    plan,
    redis_semaphore,
    redis_store,
    semaphore,
    store,
)
from airflow_provider.core.sql import arrays, failures, query, rows, streaming
from airflow_provider.core.sql import values as sql_values
from airflow_provider.core.state import chunks, firing, identity, pauses, submission, turns, watcher_state

MIB = 1024 * 1024


def test_seconds_and_attempts_of_requests() -> None:
    assert (auth._DEFAULT_LIFETIME, auth._RENEWAL_LEAD, auth._MIN_RENEWAL_AGE) == (3600, 60, 60)
    assert (auth._LAST_SECONDS, async_transport._LAST_SECONDS) == (10, 2)
    assert (401, {400, 401, 403, 422}) == (auth._UNAUTHORIZED, auth._REFUSED_CREDENTIALS)
    assert (auth._MAX_REFUSED, endpoint.MAX_RENEWALS, endpoint._MIN_SIGNATURE) == (8, 2, 16)
    assert {"password", "client_secret"} == auth._SECRET_FIELDS
    assert (rate_limit.LONGEST_WAIT, rate_limit._LOGGED_WAIT, rate_limit._ALIAS_SECONDS) == (60, 5, 600)
    assert (rate_limit.TOKENS_PER_SECOND, rate_limit.TOKEN_BURST) == (1, 10)
    assert (concurrency._LOGGED_WAIT, concurrency._RETRY_AFTER) == (5, 30)
    assert (retry._MAX_RETRY_AFTER, retry._BRIEF_SECONDS, retry._BRIEF_COST) == (30 * 86400, 2, 0.1)
    assert retry._MAX_DOUBLINGS == 60


def test_sizes_of_requests_and_replies() -> None:
    assert endpoint.CODINGS == "gzip, deflate"
    assert (reply.MIB, reply.MAX_BYTES, reply.MAX_ERROR_BYTES) == (MIB, 512 * MIB, MIB)
    assert (reply.MAX_DEPTH, reply.MAX_EXPANSION, reply.FREE_BYTES) == (100, 200, 64 * MIB)
    assert (reply._PAGE_START, reply._MAX_MESSAGE, reply._MAX_TITLE) == (1024, 500, 100)
    assert {"br", "zstd"} == reply._DENSE_CODINGS
    assert (async_transport.MAX_REQUESTS, async_transport._CONNECTIONS) == (100, 10)
    assert (async_transport._KEPT_SECONDS, async_transport._CHUNKS_AT_ONCE) == (5, 50)
    assert (session._POOL, session._KNOWN_URLS, sync_transport._CHUNK) == (32, 256, MIB // 4)
    assert (redaction.REDACTED, redaction._MIN_LENGTH, redaction._MAX_PATH) == ("***", 4, 200)
    assert (redaction._MAX_TOKENS, redaction._AHEAD, redaction._MAX_LOGGABLE) == (32, 100, 1000)
    assert redaction._redactor._tokens.maxlen == 64


def test_sizes_and_names_of_files() -> None:
    assert (csv_reader._BEGINNING, csv_reader._SAMPLE_BYTES, csv_reader._SAMPLE_ROWS) == (200, MIB // 16, 100)
    assert (csv_reader._MAX_FIELD, csv_reader._MAX_LINE) == (16 * MIB, 128 * MIB)
    assert csv_reader.DELIMITERS == {",": "comma", ";": "semicolon", "\t": "tab", "|": "vertical bar"}
    assert (*(MIB // 4, MIB, 64 * MIB, 200),) == (
        reader._BUFFER,
        reader._BLOCK,
        reader.FREE_BYTES,
        reader.MAX_EXPANSION,
    )
    tables = (".csv", ".parquet", ".geoparquet")
    assert (".jsonl", ".ndjson", ".json", ".geojson", *tables) == reader.ENDINGS
    assert set(reader._READERS) == set(reader.ENDINGS)
    of_servers = ("numberMatched", "totalFeatures", "exceededTransferLimit", "properties", "links")
    assert of_servers == reader.PAGE_MEMBERS
    assert reader.FOLDER_HINT == "; for all of its files, end it with '/'"
    assert (listing._NAMED, listing._ALIKE) == (5, {"ndjson": "jsonl", "geoparquet": "parquet"})
    assert (many_files._NAMED, many_files._MAX_PROBLEMS) == (5, 1000)
    assert (parquet.ROW_GROUP, spool.BATCH, spool._INT64_END) == (16_384, 4096, 2**63)
    assert (formats._LEVEL, export_manifest.PROGRESS_SECONDS) == (6, 10)
    assert (checks._THREADS, checks._BLOCK, manifests.MAX_BYTES) == (8, MIB, 64 * MIB)
    assert (folder.NOT_REGULAR, partitions.NULL) == (-1, "__HIVE_DEFAULT_PARTITION__")
    assert (parts.PLACEHOLDER, parts.IN_FOLDER) == ("{part}", "jsonl")
    assert ({*"*?["}, "**", ".report.html") == (patterns.SPECIAL, patterns.ANY_DEPTH, patterns.REPORT_ENDING)
    assert storage._UNKNOWN == ("No filesystem registered", "Unsupported filesystem")


def test_bounds_that_the_processes_of_a_limit_share() -> None:
    assert (plan.SECOND, plan.MARGIN, plan.MAX_COUNT, plan.HORIZON) == (10**6, 1.05, 1000, 2_100_000)
    assert (plan.LONGEST_WAIT, plan.LONGEST_PAUSE, plan._MAX_WINDOW) == (60 * 10**6, 300 * 10**6, 10**15)
    assert (semaphore.STALE, machine_semaphore._QUEUE_SECONDS) == (1, 1)
    assert (redis_semaphore.LEASE, redis_semaphore._RENEWAL, redis_store.TIMEOUT) == (15, 5, 1)
    assert (redis_store._IDLE, redis_store._MAX_ALIASES, store._MAX_ALIASES) == (86_400_000, 8, 8)
    assert (machine.LONGEST_LOCK, machine.IDLE, machine._REFRESH, machine._LARGEST) == (1, 86400, 3600, MIB)
    assert (machine._MAGIC, machine._SUFFIX, machine._IN_MEMORY) == (b"adt2", ".budget", "/dev/shm")
    assert (machine.PERMIT_SUFFIX, machine.SEALED_SUFFIX) == (".permit", ".token")
    assert (machine.FOLDER_VARIABLE, address.PROCESS) == ("DIGITAL_TWIN_STORE", "process")
    assert address._SCHEMES == ("redis", "rediss", "unix")
    assert fallback.RECHECK_SECONDS == 30


def test_bounds_of_stored_states() -> None:
    assert (chunks.MAX_CHUNKS, watcher_state.MAX_BYTES) == (10_000, 60_000)
    assert (firing.REST_SECONDS, firing.HAND_OVER_SECONDS) == (5, 10)
    assert (pauses.BEAT_SECONDS, pauses.LONG_SECONDS) == (0.5, 4)
    assert (pauses.LONG_TASK_SECONDS, pauses.REST_SECONDS) == (15, 15)
    assert (turns.TAKEN_SECONDS, turns.UNCONFIRMED_SECONDS, turns.SLOW_SECONDS) == (2, 30, 4)
    assert turns.MAX_SLOW == 3


def test_bounds_of_values_and_their_problems() -> None:
    assert (problems.MAX_KINDS, problems.ROWS_NAMED) == (10_000, 3)
    assert (values._MAX_DEPTH, values._MAX_NAMED, values._MAX_INTEGER) == (100, 8, 2**64)
    assert (values.SHORT, values._MAX_DIGITS, values._SHOWN) == (16, 400, 60)
    assert (values._MIN_INTEGER, values._INTEGER_DIGITS, {*"mM"}) == (-(2**63), 20, values._TIMES)
    assert (values._hidden.name, row_numbers._FAR) == ("hidden", 2**62)
    assert values._BOOLEANS == {"true": True, "false": False}
    assert {"numpy", "pandas", "pyarrow"} == values._LIBRARIES
    yes, no = ("true", "1", "yes"), ("false", "0", "no")
    assert {**dict.fromkeys(yes, True), **dict.fromkeys(no, False)} == scalars._BOOLEANS


def test_bounds_of_queries() -> None:
    assert (rows._BLOCK_BYTES, rows._PROGRESS_SECONDS) == (MIB // 4, 10)
    assert (streaming.FETCH_ROWS, streaming.STREAM_ROWS, streaming._READ_ONLY) == (2000, 100, "25006")
    assert streaming._DECLARABLE == ("select", "with", "values", "table")
    assert (failures._MAX_MESSAGE, failures._MYSQL_NAMES) == (300, (1054, 1146))
    assert (sql_values._INTEGER_END, sql_values._INTEGER_DIGITS, arrays._UUID[:2]) == (
        2**63,
        18,
        (2950, 2951),
    )
    assert failures._SQL_CLASSES == ("42", "0A", "25006")
    assert failures._SQL_ERRORS == ("ProgrammingError", "NotSupportedError")
    assert {
        *("alter", "commit", "copy", "create", "delete", "drop", "grant", "insert", "lock", "merge"),
        *("replace", "revoke", "rollback", "savepoint", "truncate", "update", "upsert", "vacuum"),
    } == query._WRITING


# -- names under which processes of another release find what they share --------------------------------


def test_the_names_of_shared_budgets_places_and_states_stay(tmp_path: Path) -> None:
    budget = rate_limit.shared_budget("process", 1, "host", "solution")
    assert budget._key == "0e57195334763cc68ce8435e10c7faba898dcab8"
    limit = concurrency.shared_concurrency(f"{tmp_path}/places", 2, "host", "me")
    with limit.entered(float, float, str):
        (name,) = {path.name.partition("-")[0] for path in (tmp_path / "places").iterdir()}
    assert name == "daa6c3488e89aa08c7bf689739059652699de565"
    assert identity.fingerprint({"b": [2], "a": 1}) == "0855bfc20eb6cfaa"
    assert triggers.by_hash(["k"]) == {"8254c329a9": "k"}


# -- what an argument that is left out means -----------------------------------------------------------


def defaults(function: Any) -> dict[str, Any]:
    return {
        name: one.default
        for name, one in signature(function).parameters.items()
        if one.default is not one.empty and one.default is not None
    }


def test_what_is_left_out_of_a_call_of_http() -> None:
    assert defaults(auth.QueryToken) == {"name": "token"}
    assert defaults(auth.MintedToken) == {"renew_on": (401,), "service": ""}
    assert defaults(rate_limit.shared_budget) == {"burst": 1}
    assert defaults(rate_limit.Budget) == {"key": "", "burst": 1}
    assert defaults(twins.twin) == {"loads": True}
    assert reply.NoResponse(True, "x") == (True, "x", False, "")
    assert retry.RetryLimits() == retry.RetryLimits(6, 0.5, 60, 180, 0, None)
    kept = call.Call("GET", "x")
    assert (kept.repeatable, kept.base, kept.authenticated) == (True, "api", True)
    assert (kept.status_only, kept.name, kept.read) == (False, "", reply.read_json)
    assert auth.Token("x").expires_in == 3600
    client: async_transport.SharedClient = async_transport.SharedClient(None)  # type: ignore[arg-type]
    assert (client.requests, client.is_retired, client.used_at) == (0, False, 0)


def test_what_is_left_out_of_a_call_of_files() -> None:
    assert defaults(atomic.AtomicFile) == {"hashed": True}
    assert defaults(csv_reader.read_csv) == {"on_columns": len, "may_be_empty": False, "empty_rows": False}
    assert defaults(formats.choose_format) == {"argument": ""}
    assert defaults(listing.Listing.changes) == {"new": True}
    assert listing.SourceFile("x", 1, None) == listing.SourceFile("x", 1, None, {}, "", "", None, None)
    assert folder.Found("x", False) == ("x", False, 0, None)
    assert formats.Format("csv") == formats.Format("csv", compressed=False)
    assert manifests.ManifestFile("x") == ("x", None, None, None)
    assert manifests.Manifest([]) == ([], None, None)
    assert defaults(many_files.ManyFiles) == {"hive": False}
    assert defaults(many_files.ManyFiles.rows) == {"geo": False}
    assert defaults(folder.Folder) == {"subject": "source"}
    assert defaults(folder.Folder.entries) == defaults(folder.Folder.files) == {"below": ""}
    assert defaults(parts.part_path) == {"ending": ""}
    assert defaults(patterns.is_skipped) == {"folder": False}
    assert defaults(reader.read_rows) == {"subject": "source", "geo": False, "may_be_empty": False}
    assert defaults(reader.open_source) == {"subject": "source", "folder_hint": ""}
    assert defaults(row_operator.RowOperator.__init__) == {"hive": False}
    assert defaults(row_source.read_source) == {"options": row_source.NO_OPTIONS, "geo": False, "fields": ()}
    assert defaults(row_source.apply_options) == {"geometry": ""}
    assert defaults(storage.storage_path) == {"purpose": "opened"}
    assert defaults(storage.ensure_writable) == {"argument": "output_path"}


def test_what_is_left_out_of_a_call_of_stores_and_values() -> None:
    assert defaults(submission.Submission)["name"] == "submission"
    for kind in (store.Store, store.LocalStore, redis_store.RedisStore, fallback.FallbackStore):
        for method in (kind.reserve, kind.pause, kind.paused_until, kind.join):
            assert defaults(method) == {"block": True}
    assert defaults(redis_store.RedisStore.run) == {"block": True}
    assert defaults(machine.MachineStore) == {"folder": ""}
    assert defaults(plan.Rate.per_second) == {"burst": 1}
    assert defaults(store.Record.set) == {"alias": ""}
    assert defaults(failures.database_error) == {"connecting": False}
    assert defaults(sql_values.DatabaseValueReader) == {"long_decimals": "round"}
    assert defaults(problems.Problems.add) == {"row": 0, "field": ""}
    assert defaults(values.ValueReader)["nan_is_absent"] is True
