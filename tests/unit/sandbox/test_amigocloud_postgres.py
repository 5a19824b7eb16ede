"""AmigoCloud's SQL on PostgreSQL: made and removed with the sandbox, and closed to harm."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.errors import InputError, RequestRejectedError
from airflow_provider.sandbox.amigocloud import AmigoCloudService, seed
from airflow_provider.sandbox.amigocloud.sql.postgres.address import read_address
from airflow_provider.sandbox.amigocloud.sql.postgres.database import PREFIX
from airflow_provider.sandbox.amigocloud.sql.store import Dataset
from airflow_provider.sandbox.server import Sandbox
from airflow_provider.sandbox.service import StartError
from dev.postgres_server import PostgresServer
from tests.support.postgres import PASSWORD, Database, sandbox_url
from tests.support.sandbox_command import command, running, url_of

pytestmark = [
    pytest.mark.both_engines,
    pytest.mark.one_engine("postgresql", "these tests are about that engine"),
]

SECRET = "p%25ss%2Fw%3Ard%40%20%3C%27%C3%A4"
"""The password of the role ``loader`` in a URL."""


@pytest.fixture
def hook(sandbox: Sandbox) -> Iterator[AmigoCloudHook]:
    with AmigoCloudHook() as hook:
        yield hook


def made_on(server: PostgresServer) -> tuple[set[str], set[str]]:
    """Return the databases and roles of sandboxes."""
    admin = Database(server, "airflow")
    databases = admin.query(f"SELECT datname FROM pg_database WHERE datname LIKE '{PREFIX}%'")
    roles = admin.query(f"SELECT rolname FROM pg_roles WHERE rolname LIKE '{PREFIX}%'")
    return {name for (name,) in databases}, {name for (name,) in roles}


def made_since(server: PostgresServer, before: tuple[set[str], set[str]]) -> set[str]:
    """Return what sandboxes have left; a new one drops what killed ones of other tests had left before."""
    databases, roles = made_on(server)
    return (databases - before[0]) | (roles - before[1])


def small(url: str, **options: Any) -> Sandbox:
    return Sandbox(kinds=[AmigoCloudService], amigocloud_sql=url, **options)


# -- start and stop


def test_sandboxes_share_a_server_and_leave_nothing_there(running_postgres: PostgresServer) -> None:
    url, before = sandbox_url(running_postgres), made_on(running_postgres)
    with small(url) as one, small(url) as other:
        assert len(made_on(running_postgres)[0] - before[0]) == 2
        one.amigocloud.store.write("DELETE FROM dataset_1")
        assert (one.amigocloud.store.count(1), other.amigocloud.store.count(1)) == (0, 8)
        one.reset()
        assert one.amigocloud.store.count(1) == 8
    assert made_since(running_postgres, before) == set()


def test_what_a_killed_sandbox_left_is_removed_by_the_next_one(running_postgres: PostgresServer) -> None:
    url, before = sandbox_url(running_postgres), made_on(running_postgres)
    with command("--port", "0", "--amigocloud-sql", url) as process:
        url_of(process)
        (left,) = made_on(running_postgres)[0] - before[0]
        process.kill()
    admin = Database(running_postgres, "airflow")
    gone = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{left}'"
    while admin.query(gone) != [(0,)]:
        pass
    with small(url):
        assert left not in made_on(running_postgres)[0]
    assert made_since(running_postgres, before) == set()


def test_a_sandbox_keeps_its_database_when_the_server_restarts_and_another_one_starts(
    running_postgres: PostgresServer,
) -> None:
    with small(sandbox_url(running_postgres)) as first:
        Database(running_postgres, "airflow").restart()
        with small(sandbox_url(running_postgres)):
            first.reset()
            assert first.amigocloud.store.count(seed.ASSETS) > 0


def test_a_start_that_fails_leaves_nothing(running_postgres: PostgresServer) -> None:
    before = made_on(running_postgres)
    with small(sandbox_url(running_postgres)) as running:
        port = int(running.url.rpartition(":")[2])
        with pytest.raises(OSError, match="in use"):
            small(sandbox_url(running_postgres), port=port).start()
    assert made_since(running_postgres, before) == set()


def test_a_reset_restores_rows_columns_and_datasets(sandbox: Sandbox) -> None:
    store = sandbox.amigocloud.store
    seeded = store.select("SELECT * FROM dataset_2001 ORDER BY number", -1, 0)
    store.write("DELETE FROM dataset_2001 WHERE number % 2 = 0")
    store.add_column(seed.ASSETS, {"name": "colour", "type": "string"})
    store.drop_column(seed.FIRST, "value")
    store.drop(seed.ZONES)
    sandbox.load("amigocloud.rows", rows=10, dataset=3001)
    sandbox.reset()
    store = sandbox.amigocloud.store
    assert sorted(store.datasets) == [seed.FIRST, seed.ASSETS, seed.ZONES]
    assert store.select("SELECT * FROM dataset_2001 ORDER BY number", -1, 0) == seeded
    assert store.select("SELECT value FROM dataset_1", -1, 0).count == 8


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("mysql://a:s3cret@h/db", "the address must be postgresql://"),
        ("postgresql://a:s3/cret@h:x/db", "the address must be postgresql://"),
        ("postgresql://a:s3cret@h", "the address must be postgresql://"),
        ("s3cret", "the address must be postgresql://"),
        ("postgresql://a:s3cret@127.0.0.1:1/db", "127.0.0.1:1 as a cannot be reached"),
    ],
)
def test_a_server_that_cannot_be_used_is_one_sentence_without_the_password(url: str, said: str) -> None:
    with pytest.raises(StartError, match=said) as caught:
        small(url).start()
    assert "s3" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_user_who_may_not_create_databases_is_named(running_postgres: PostgresServer) -> None:
    url = f"postgresql://loader:{SECRET}@127.0.0.1:{running_postgres.port}/airflow"
    assert read_address(url).parameters["password"] == PASSWORD
    before = made_on(running_postgres)
    with pytest.raises(StartError, match="as loader must have PostGIS, and a user who may") as caught:
        small(url).start()
    assert PASSWORD not in str(caught.value)
    assert made_since(running_postgres, before) == set()


def test_the_command_says_in_one_line_why_it_cannot_start() -> None:
    url = "postgresql://a:s3cret@127.0.0.1:1/db"
    with command("--port", "0", "--amigocloud-sql", url) as done:
        out, errors = done.communicate(timeout=60)
    assert done.returncode == 1
    assert errors.count("\n") == 1
    assert "cannot be reached" in errors
    assert "s3cret" not in out + errors


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [
        name for name in sys.modules if name.startswith("airflow_provider.sandbox.amigocloud.sql.post")
    ]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StartError, match=r"pip install 'psycopg\[binary\]'"):
        small("postgresql://a:b@127.0.0.1:1/db").start()


def test_each_of_several_processes_has_a_copy_of_the_database(running_postgres: PostgresServer) -> None:
    url, before = sandbox_url(running_postgres), made_on(running_postgres)
    load = "amigocloud.rows=50,dataset=3001"
    with running("--processes", "2", "--amigocloud-sql", url, "--load", load) as sandbox:
        assert len(made_on(running_postgres)[0] - before[0]) == 3
        sql = f"{sandbox}/amigocloud/api/v1/projects/{seed.PROJECT}/sql?token={seed.USER_TOKEN}"
        count = {"query": "SELECT count(*) AS n FROM dataset_3001"}
        requests.post(sql, json={"query": "DELETE FROM dataset_3001 WHERE number < 10"}, timeout=30)
        counts = [requests.get(sql, count, timeout=30).json()["data"][0]["n"] for _ in range(4)]
        assert sorted(set(counts)) == [40, 50]
        assert requests.post(f"{sandbox}/_sandbox/reset", timeout=60).ok
        assert {requests.get(sql, count, timeout=30).json()["data"][0]["n"] for _ in range(4)} == {50}
    assert made_since(running_postgres, before) == set()


@pytest.mark.parametrize(
    ("user", "database", "said"),
    [
        ("loader:s3cret", "airflow", "password authentication failed"),
        ("airflow:s3cret", "nothing", 'database "nothing" does not exist'),
        ("s3cret", "airflow", "does not exist"),
    ],
)
def test_a_server_that_refuses_the_connection_is_quoted(
    running_postgres: PostgresServer, user: str, database: str, said: str
) -> None:
    with pytest.raises(StartError, match=f"refuses the connection: .*{said}") as caught:
        small(f"postgresql://{user}@127.0.0.1:{running_postgres.port}/{database}").start()
    assert ":s3cret" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_password_may_come_from_the_environment(
    running_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGPASSWORD", PASSWORD)
    with pytest.raises(StartError, match="permission denied"):
        small(f"postgresql://loader@127.0.0.1:{running_postgres.port}/airflow").start()


# -- the same as the embedded engine, and what differs


def test_seeded_and_generated_rows_and_their_states_are_those_of_the_embedded_engine(
    sandbox: Sandbox, running_sandbox: Sandbox
) -> None:
    running_sandbox.reset()
    found = []
    for each in (sandbox, running_sandbox):
        each.load("amigocloud.rows", rows=250, dataset=3001, seed=7)
        each.load("amigocloud.rows", rows=50, dataset=3001, seed=7)
        store = each.amigocloud.store
        pages = [
            store.select(f"SELECT * FROM {item.table} ORDER BY amigo_id", -1, 0)
            for item in store.datasets.values()
        ]
        found.append(([item.states for item in store.datasets.values()], pages))
    assert found[0] == found[1]


def test_texts_are_ordered_as_people_order_them(sandbox: Sandbox, running_sandbox: Sandbox) -> None:
    sql = "SELECT column1 AS a FROM (VALUES ('b'), ('C'), ('a'), ('Ä')) AS v ORDER BY a"
    orders = [
        "".join(row["a"] for row in each.amigocloud.store.select(sql, -1, 0).rows)
        for each in (sandbox, running_sandbox)
    ]
    assert orders == ["aÄbC", "CabÄ"]


# -- what the docs advise, through the hook


@pytest.mark.parametrize(
    ("sql", "row"),
    [
        (
            "SELECT ST_AsText(ST_SnapToGrid(ST_Transform('SRID=4326;POINT(12 55)'::geometry, 25832), 1)) a",
            {"a": "POINT(691876 6098908)"},
        ),
        (
            "SELECT ST_AsGeoJSON(ST_MakePoint(1, 2)) AS a",
            {"a": '{"type":"Point","coordinates":[1,2]}'},
        ),
        (
            "SELECT count(*) AS a FROM dataset_2001 a JOIN dataset_2002 z"
            " ON ST_Intersects(a.wkb_geometry, z.wkb_geometry) AND z.name = 'Zone 09'",
            {"a": 111},
        ),
        (
            "SELECT round(ST_Area(wkb_geometry::geography)) AS a FROM dataset_2002 WHERE name = 'Zone 00'",
            {"a": 13973.0},
        ),
        ("SELECT '{\"a\": {\"b\": [1, 2.5]}}'::jsonb -> 'a' AS a", {"a": {"b": [1, 2.5]}}),
        ("SELECT '{\"a\": {\"b\": 7}}'::jsonb #>> '{a,b}' AS a", {"a": "7"}),
        (
            "SELECT array_agg(name ORDER BY name DESC) AS a FROM dataset_1 WHERE value < 2",
            {"a": ["Bohr", "Ångström"]},
        ),
        (
            "SELECT a FROM (SELECT row_number() OVER (ORDER BY value DESC) AS a, name FROM dataset_1) q"
            " WHERE name = 'Bohr'",
            {"a": 7},
        ),
        (
            "WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n WHERE a < 9)"
            " SELECT max(a) AS a FROM n",
            {"a": 9},
        ),
        ("SELECT count(*) AS a FROM generate_series(1, 7) n", {"a": 7}),
    ],
)
def test_the_sql_that_the_docs_advise_works(hook: AmigoCloudHook, sql: str, row: dict[str, Any]) -> None:
    assert hook.get_records(sql) == [row]


@pytest.mark.parametrize(
    ("expression", "kind", "value"),
    [
        ("1::smallint", "integer", 1),
        ("3000000000", "bigint", 3_000_000_000),
        ("0.1::real", "real", 0.1),
        ("1.5::float8", "float", 1.5),
        ("12.50::numeric", "number", 12.5),
        ("true", "boolean", True),
        ("'x'", "string", "x"),
        ("'x'::name", "unknown(19)", "x"),
        (
            "'0b6e1d7c-52c0-4c9e-9c55-6d2f0a1f0123'::uuid",
            "unknown(2950)",
            "0b6e1d7c-52c0-4c9e-9c55-6d2f0a1f0123",
        ),
        ("'2025-01-31'::date", "date", "2025-01-31"),
        ("'14:05:11'::time", "time", "14:05:11"),
        ("'2025-01-31 16:05:11+02'::timestamptz", "datetime", "2025-01-31 14:05:11+00:00"),
        ("'2025-01-31 14:05:11.25+00'::timestamptz", "datetime", "2025-01-31 14:05:11.25+00:00"),
        ("'2025-01-31 14:05:11'::timestamp", "unknown(1114)", "2025-01-31 14:05:11"),
        ("'infinity'::timestamptz", "datetime", "infinity"),
        ("'{\"a\": null}'::jsonb", "unknown(3802)", {"a": None}),
        ("ARRAY[1, NULL, 3]", "unknown(1007)", [1, None, 3]),
        ("ARRAY['2025-01-31'::date]", "unknown(1182)", ["2025-01-31"]),
        ("'\\x00ff'::bytea", "unknown(17)", "\\x00ff"),
        ("int4range(1, 3)", "unknown(3904)", "[1,3)"),
        ("'10.0.0.1'::inet", "unknown(869)", "10.0.0.1"),
        ("'1 day 2 hours'::interval", "unknown(1186)", "1 day 02:00:00"),
        ("ROW(1, 'a')", "unknown(2249)", "(1,a)"),
        ("NULL::geometry", "geometry", None),
        (
            "'SRID=4326;POINT(1 2)'::geometry",
            "geometry",
            "0101000020E6100000000000000000F03F0000000000000040",
        ),
    ],
)
def test_values_and_types_are_reported_as_the_service_does(
    sandbox: Sandbox, expression: str, kind: str, value: Any
) -> None:
    with AmigoCloudHook() as hook:
        body = hook.get("sql", {"query": f"SELECT {expression} AS a"})
    assert body["columns"][0]["type"] == kind
    assert body["data"] == [{"a": value}]


def test_numbers_of_any_precision_keep_their_digits(sandbox: Sandbox) -> None:
    with AmigoCloudHook() as hook:
        (row,) = hook.get_records(
            "SELECT 12345678901234567890.123456789::numeric::text AS t, 7.10::numeric AS n"
        )
    assert row == {"t": "12345678901234567890.123456789", "n": 7.1}


@pytest.mark.parametrize("value", ["'NaN'::float8", "'NaN'::numeric", "'-Infinity'::real"])
def test_numbers_that_json_does_not_have_are_written_as_the_service_writes_them(
    hook: AmigoCloudHook, value: str
) -> None:
    with pytest.raises(InputError, match="column 'a' holds"):
        hook.get_records(f"SELECT {value} AS a")


def test_of_two_columns_of_one_name_a_row_holds_the_last_one(sandbox: Sandbox) -> None:
    with AmigoCloudHook() as hook:
        body = hook.get("sql", {"query": "SELECT 1 AS a, 2 AS a"})
    assert [column["name"] for column in body["columns"]] == ["a", "a"]
    assert body["data"] == [{"a": 2}]


def test_names_are_folded_unless_they_are_quoted(sandbox: Sandbox, hook: AmigoCloudHook) -> None:
    columns = [{"name": "Name", "type": "string"}]
    sandbox.amigocloud.store.add(Dataset(4001, seed.PROJECT, "names", columns), [{"Name": "x"}])
    assert hook.get_records('SELECT "Name" FROM Dataset_4001') == [{"Name": "x"}]
    with pytest.raises(RequestRejectedError, match='column "name" does not exist'):
        hook.get_records("SELECT Name FROM dataset_4001")


def test_now_is_the_time_of_the_sandbox(sandbox: Sandbox, hook: AmigoCloudHook) -> None:
    sandbox.clock.advance(86_400 * 365)
    (row,) = hook.get_records("SELECT now() > current_timestamp + interval '364 days' AS ahead")
    assert row == {"ahead": True}


def test_columns_of_any_type_are_written_read_and_reverted(sandbox: Sandbox, hook: AmigoCloudHook) -> None:
    kinds = {"amigo_id": "uuid", "tags": "string[]", "more": "jsonb", "sum": "numeric", "at": "datetime"}
    columns = [{"name": name, "type": kind} for name, kind in kinds.items()]
    row = {
        "amigo_id": "0b6e1d7c-52c0-4c9e-9c55-6d2f0a1f0123",
        "tags": ["a", 'b"c'],
        "more": [1, {"x": None}],
        "sum": 1.5,
        "at": "2025-01-31 14:05:11+00:00",
    }
    store = sandbox.amigocloud.store
    store.add(Dataset(4001, seed.PROJECT, "kinds", columns), [row])
    assert hook.get_records("SELECT * FROM dataset_4001") == [row]
    state = store.master(4001)
    store.write("UPDATE dataset_4001 SET more = '{}', tags = '{}'")
    store.revert(4001, state, None)
    assert hook.get_records("SELECT * FROM dataset_4001") == [row]
    assert len(set(store.datasets[4001].states)) == 3


# -- what users cannot do


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('.')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT pg_sleep(60)",
        "SELECT set_config('role', 'airflow', true)",
        "SELECT set_config('session_authorization', 'airflow', true)",
        "SELECT pg_terminate_backend(pg_backend_pid())",
        "SELECT pg_advisory_lock(1)",
        "SELECT query_to_xml('SELECT 1', true, true, '')",
        "SELECT * FROM dblink('dbname=airflow', 'SELECT 1') AS t(a int)",
        "SELECT * FROM kept.dataset_1",
        "SELECT * FROM seeded.dataset_1",
        "SELECT * FROM pg_authid",
        "SELECT * FROM pg_stat_activity",
        "SELECT datname FROM pg_database",
        "SELECT 1 INTO new_table",
        "SELECT * FROM dataset_1 FOR UPDATE",
        "SELECT 1; SELECT 2",
        "SELECT 1; DROP VIEW dataset_1",
        "SHOW data_directory",
        "EXPLAIN ANALYZE SELECT pg_sleep(60)",
        "SELECT 1 AS \x00a",
        "SELECT nextval('kept.uuids')",
    ],
)
def test_a_query_that_could_do_harm_is_refused_as_the_service_refuses(
    sandbox: Sandbox, hook: AmigoCloudHook, sql: str
) -> None:
    url = f"{sandbox.amigocloud.project_url()}/sql"
    reply = requests.get(url, {"query": sql, "token": seed.READ_TOKEN}, timeout=30)
    assert (reply.status_code, reply.json()["error_code"]) == (400, "sql_error"), reply.text
    assert hook.get_first("SELECT count(*) AS n FROM dataset_1") == {"n": 8}
    assert sandbox.counters.replies("amigocloud").get(500, 0) == 0


@pytest.mark.parametrize(
    "sql",
    [
        "COPY dataset_1 TO '/tmp/x'",
        "COPY (SELECT 1) TO PROGRAM 'id'",
        "SET ROLE airflow",
        "RESET ALL",
        "DO $$ BEGIN PERFORM 1; END $$",
        "CREATE TABLE x (a int)",
        "DROP VIEW dataset_1",
        "ALTER VIEW dataset_1 RENAME TO x",
        "TRUNCATE dataset_1",
        "GRANT ALL ON dataset_1 TO PUBLIC",
        "BEGIN",
        "INSERT INTO dataset_1 (name) VALUES ('a'); DELETE FROM dataset_1",
        "INSERT INTO dataset_1 (name) VALUES (pg_read_file('/etc/passwd'))",
        "INSERT INTO kept.dataset_1 (name) VALUES ('a')",
        "UPDATE kept.heads SET version = 9",
        "DELETE FROM spatial_ref_sys",
        "INSERT INTO dataset_1 (name) SELECT set_config('search_path', 'x', false)",
        "WITH d AS (DELETE FROM dataset_1) SELECT pg_sleep(60)",
    ],
)
def test_a_statement_that_could_do_harm_is_refused_and_changes_nothing(sandbox: Sandbox, sql: str) -> None:
    with AmigoCloudHook() as hook:
        with pytest.raises(RequestRejectedError) as caught:
            hook.post("sql", {"query": sql})
        assert caught.value.status == 400
        assert hook.get_first("SELECT count(*) AS n FROM dataset_1") == {"n": 8}
    assert len(sandbox.amigocloud.store.datasets[1].states) == 1


@pytest.mark.parametrize("engine", ["running_sandbox", "running_postgres_sandbox"])
def test_a_statement_without_end_is_cancelled(request: pytest.FixtureRequest, engine: str) -> None:
    service = request.getfixturevalue(engine).amigocloud
    endless = "WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n) SELECT count(*) FROM n"
    with pytest.raises(Exception, match="canceling statement due to statement timeout"):
        service.store.select(endless, 10, 0, seconds=0.05)
    assert service.store.count(seed.FIRST) == 8


def test_errors_have_postgresqls_words_and_no_path_of_the_server(hook: AmigoCloudHook) -> None:
    with pytest.raises(RequestRejectedError, match='sql_error: relation "dataset_99" does not exist'):
        hook.get_records("SELECT * FROM dataset_99")
    with pytest.raises(RequestRejectedError, match="operator does not exist: integer = text"):
        hook.get_records("SELECT * FROM dataset_2001 WHERE number = 'x'::text")


def test_a_lost_connection_is_opened_again(sandbox: Sandbox, running_postgres: PostgresServer) -> None:
    database = sandbox.amigocloud.engine.database.name  # type: ignore[attr-defined]
    Database(running_postgres, "airflow").query(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'"
    )
    with AmigoCloudHook() as hook:
        assert hook.get_first("SELECT count(*) AS n FROM dataset_1") == {"n": 8}
    sandbox.amigocloud.store.write("DELETE FROM dataset_1")
    assert sandbox.amigocloud.store.count(1) == 0


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT ST_Transform(wkb_geometry, 25832) FROM dataset_2001",
        "SELECT * FROM unnest(ARRAY[1, 2])",
        "SELECT ST_AsGeoJSON(wkb_geometry) FROM dataset_2001",
        "SELECT * FROM json_to_recordset('[]')",
    ],
)
def test_the_embedded_engine_names_the_other_one_for_what_it_cannot_do(
    running_sandbox: Sandbox, sql: str
) -> None:
    with pytest.raises(Exception, match=r"--amigocloud-sql postgresql://.*amigocloud_sql="):
        running_sandbox.amigocloud.store.select(sql, 10, 0)
