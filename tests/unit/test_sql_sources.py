"""A query is a source of every operator that takes rows: through real connections, against the sandbox."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airflow_provider.amigocloud.operators import AmigoCloudSyncDatasetOperator
from airflow_provider.errors import DatabaseError, InputError
from airflow_provider.iotstudio.operators import (
    IoTStudioSyncThingsOperator,
    IoTStudioWritePropertiesOperator,
)
from airflow_provider.leanix.operators import LeanIXRunOperator, LeanIXStartRunOperator
from airflow_provider.mapsindoors.operators import (
    MapsIndoorsCreateGeodataOperator,
    MapsIndoorsDeleteGeodataOperator,
    MapsIndoorsSyncCategoriesOperator,
    MapsIndoorsSyncDisplayTypesOperator,
    MapsIndoorsSyncGeodataOperator,
    MapsIndoorsUpdateGeodataOperator,
)
from airflow_provider.sandbox.server import Sandbox
from tests.support.mapsindoors_sync import by_external_id
from tests.support.postgres import Database
from tests.support.sql_sources import DRIVERS, DuckDBHook, connect_file, register_hook, use_driver
from tests.support.task_runner import TaskRunner

THINGS = ["01GQ2E9M2Y45BX9EW0F2BM032Q"]
INBOUND = {
    "connector_type": "cmdb",
    "connector_id": "campus",
    "connector_version": "1.0.0",
    "processing_direction": "inbound",
}
ARGUMENTS: dict[Any, dict[str, Any]] = {
    AmigoCloudSyncDatasetOperator: {"dataset": 2001, "key": "number"},
    MapsIndoorsSyncGeodataOperator: {},
    MapsIndoorsUpdateGeodataOperator: {},
    MapsIndoorsCreateGeodataOperator: {},
    MapsIndoorsDeleteGeodataOperator: {},
    MapsIndoorsSyncDisplayTypesOperator: {},
    MapsIndoorsSyncCategoriesOperator: {},
    IoTStudioWritePropertiesOperator: {},
    IoTStudioSyncThingsOperator: {"match_on": "title"},
    LeanIXStartRunOperator: INBOUND,
    LeanIXRunOperator: INBOUND,
}
OPERATORS = list(ARGUMENTS)
EXISTING = {
    AmigoCloudSyncDatasetOperator: "source",
    MapsIndoorsSyncGeodataOperator: "source",
    MapsIndoorsUpdateGeodataOperator: "geodata",
    MapsIndoorsCreateGeodataOperator: "geodata",
    MapsIndoorsDeleteGeodataOperator: "ids",
    MapsIndoorsSyncDisplayTypesOperator: "source",
    MapsIndoorsSyncCategoriesOperator: "source",
    IoTStudioWritePropertiesOperator: "writes",
    IoTStudioSyncThingsOperator: "source",
    LeanIXStartRunOperator: "content",
    LeanIXRunOperator: "content",
}


def task(kind: Any, sql: str | None, **more: Any) -> Any:
    return kind(task_id="t", **ARGUMENTS[kind], **{"sql": sql, "sql_conn_id": "warehouse", **more})


def run(kind: Any, sql: str | None, **more: Any) -> Any:
    return TaskRunner().run(task(kind, sql, **more))


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    use_driver(monkeypatch, request.param)
    return str(request.param)


@pytest.fixture
def leanix(sandbox: Sandbox) -> Any:
    """Return the emulated workspace, whose runs end at once."""
    sandbox.leanix.queue_seconds = sandbox.leanix.run_seconds = sandbox.leanix.seconds_per_item = 0.0
    return sandbox.leanix


def rooms_of(sandbox: Sandbox, count: int) -> list[dict[str, Any]]:
    rooms = [one for one in sandbox.mapsindoors.campus.geodata.values() if one["baseType"] == "room"]
    return sorted(rooms, key=lambda room: room["externalId"])[:count]


def fill_rooms(database: Database, rooms: list[dict[str, Any]]) -> None:
    """Create a table of rooms with new names, and with their geometries as PostGIS has them."""
    database.query(
        "CREATE TABLE rooms (object_id text, externalid text, label text, geom geometry, loaded date)"
    )
    with database.connect() as connection, connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO rooms VALUES (%s, %s, %s, ST_SetSRID(ST_GeomFromGeoJSON(%s), 4326), '2026-01-01')",
            [
                (one["id"], one["externalId"], f"Room {one['externalId']}", json.dumps(one["geometry"]))
                for one in rooms
            ],
        )
    database.query("GRANT ALL ON rooms TO loader")


def names(sandbox: Sandbox) -> list[str]:
    geodata = sandbox.mapsindoors.campus.geodata.values()
    return [one["properties"]["name@en"] for one in geodata if "name@en" in one["properties"]]


def test_a_map_is_synced_with_a_query(sandbox: Sandbox, database: Database, driver: str) -> None:
    rooms = rooms_of(sandbox, 20)
    fill_rooms(database, rooms)
    given: dict[str, Any] = {
        "sql": "SELECT * FROM rooms WHERE externalid LIKE %(like)s",
        "parameters": {"like": "%"},
        "columns": {"label": "name@en", "geom": "geometry"},
        "ignore": ["loaded", "object_id"],
    }
    result = run(MapsIndoorsSyncGeodataOperator, **given)
    assert (result["update"], result["unchanged"], result["failed"]) == (20, 0, 0)
    by_id = by_external_id(sandbox.mapsindoors)
    assert {by_id[one["externalId"]]["properties"]["name@en"] for one in rooms} == {
        f"Room {one['externalId']}" for one in rooms
    }
    assert run(MapsIndoorsSyncGeodataOperator, **given)["unchanged"] == 20


def test_a_dataset_is_synced_with_a_query(sandbox: Sandbox, database: Database, driver: str) -> None:
    sandbox.amigocloud.job_latency = 0.0
    sql = (
        "SELECT n AS \"NUMBER\", 'Asset ' || n AS name, NULL::text AS maker, n + 0.5::numeric AS price,"
        " true AS in_service, date '2026-01-02' AS installed_on,"
        " timestamptz '2026-01-02 03:04:05+00' AS inspected_at,"
        " ST_SetSRID(ST_MakePoint(12.5, 55.5 + n / 10000.0), 4326) AS geometry"
        " FROM generate_series(2999, 3000) n"
    )
    makers = sandbox.amigocloud.store.select("SELECT maker FROM dataset_2001 WHERE number = 2999", 1, 0).rows
    result = run(AmigoCloudSyncDatasetOperator, sql)
    assert (result["create"], result["update"]) == (1, 1)
    rows = sandbox.amigocloud.store.select("SELECT * FROM dataset_2001 WHERE number >= 2999", 9, 0).rows
    assert [row["price"] for row in rows] == [2999.5, 3000.5]
    assert [row["maker"] for row in rows] == [makers[0]["maker"], None]
    assert {row["inspected_at"] for row in rows} == {"2026-01-02 03:04:05+00:00"}
    assert run(AmigoCloudSyncDatasetOperator, sql)["unchanged"] == 2


def test_places_are_updated_created_and_deleted_by_a_query(
    sandbox: Sandbox, database: Database, driver: str
) -> None:
    rooms = rooms_of(sandbox, 3)
    fill_rooms(database, rooms)
    sql = 'SELECT object_id AS id, label AS "name@en" FROM rooms'
    assert run(MapsIndoorsUpdateGeodataOperator, sql) == {"updated": 3}
    assert len([name for name in names(sandbox) if name.startswith("Room ")]) >= 3
    sql = (
        "SELECT 'N-' || externalid AS externalid, 'poi' AS basetype, ST_AsBinary(ST_PointOnSurface(geom)) AS"
        f" wkb_geometry, '{rooms[0]['parentId']}' AS parentid, 'Workspace' AS displaytype, label AS name"
        " FROM rooms"
    )
    assert run(MapsIndoorsCreateGeodataOperator, sql) == {"created": 3, "existing": 0}
    made = [one for one in by_external_id(sandbox.mapsindoors).values() if one["externalId"][:2] == "N-"]
    values = ", ".join(f"('{one['id']}')" for one in made)
    sql = f'SELECT * FROM (VALUES {values}) AS gone ("ID")'
    assert run(MapsIndoorsDeleteGeodataOperator, sql) == {"deleted": 3, "gone": 0}


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT '{}' AS thing_id, 21.5::numeric AS setpoint, NULL::text AS label",
        "SELECT '{}' AS \"THING_ID\", 21.5::float4 AS setpoint",
        "SELECT '{}' AS uid, '{{\"setpoint\": 21.5}}'::jsonb AS properties",
        'SELECT \'{}\' AS "UID", \'{{"setpoint": 21.5}}\'::text AS "PROPERTIES"',
    ],
)
def test_properties_are_written_from_a_query(
    sandbox: Sandbox, database: Database, driver: str, sql: str
) -> None:
    result = run(IoTStudioWritePropertiesOperator, sql.format(THINGS[0]))
    assert result == {"written": 1, "skipped": 0, "verified": 1}
    assert sandbox.iotstudio.space.things[THINGS[0]].status["setpoint"] == 21.5


def test_things_are_synced_with_a_query(sandbox: Sandbox, database: Database, driver: str) -> None:
    sql = (
        f"SELECT '{THINGS[0]}' AS \"UID\", 'Renamed' AS \"TITLE\", NULL::text AS description,"
        ' \'["Sensors", "Meters"]\'::jsonb AS categories'
        " UNION ALL SELECT NULL, 'Created', 'From a table', '[]'::jsonb"
    )
    result = run(IoTStudioSyncThingsOperator, sql)
    assert (result["create"], result["update"], result["failed"]) == (1, 1, 0)
    thing = sandbox.iotstudio.space.things[THINGS[0]]
    assert (thing.title, thing.categories) == ("Renamed", ["Sensors", "Meters"])
    assert thing.fields["description"].startswith("Room climate")
    assert run(IoTStudioSyncThingsOperator, sql)["unchanged"] == 2


ITEMS = [
    "SELECT 'ITComponent' AS type, 'a-' || n AS id, 'N' || n AS name, n AS count"
    " FROM generate_series(1, 3) n",
    "SELECT 'ITComponent' AS \"TYPE\", 'a-' || n AS \"ID\", 'N' || n AS name, n AS count"
    " FROM generate_series(1, 3) n",
    "SELECT 'ITComponent' AS type, 'a-' || n AS id, jsonb_build_object('name', 'N' || n, 'count', n) AS data"
    " FROM generate_series(1, 3) n",
    "SELECT 'ITComponent' AS \"TYPE\", 'a-' || n AS \"ID\","
    " jsonb_build_object('name', 'N' || n, 'count', n)::text AS \"DATA\" FROM generate_series(1, 3) n",
]


@pytest.mark.parametrize("sql", ITEMS)
@pytest.mark.parametrize("kind", [LeanIXRunOperator, LeanIXStartRunOperator])
def test_a_run_gets_the_rows_of_a_query(
    leanix: Any, database: Database, driver: str, kind: Any, sql: str
) -> None:
    run(kind, sql)
    (found,) = leanix.runs
    assert sorted(found.content, key=lambda item: item["id"]) == [
        {"type": "ITComponent", "id": f"a-{n}", "data": {"name": f"N{n}", "count": n}} for n in (1, 2, 3)
    ]


def test_rows_in_another_order_resume_the_live_run(
    sandbox: Sandbox, leanix: Any, database: Database, driver: str
) -> None:
    sql = (
        "SELECT 'Application' AS type, 'a-' || n AS id, n AS count FROM generate_series(1, 50) n ORDER BY {}"
    )
    runner = TaskRunner()
    first = runner.run(task(LeanIXStartRunOperator, sql.format("n")))
    assert runner.run(task(LeanIXStartRunOperator, sql.format("n DESC"))) == first
    assert len(leanix.runs) == 1
    changed = sql.format("n").replace("n AS count", "n + 1 AS count")
    assert runner.run(task(LeanIXStartRunOperator, changed)) != first
    assert len(leanix.runs) == 2


@pytest.mark.parametrize("kind", OPERATORS)
def test_one_source_is_needed_and_one_only(sandbox: Sandbox, kind: Any) -> None:
    with pytest.raises(InputError, match=f"give either '{EXISTING[kind]}' or 'sql', not both"):
        run(kind, "SELECT 1", **{EXISTING[kind]: []})
    if not issubclass(kind, LeanIXStartRunOperator):
        with pytest.raises(InputError, match="sql|exactly one"):
            run(kind, None, sql_conn_id=None)
    assert not sandbox.counters.requests


BAD: list[tuple[dict[str, Any], str]] = [
    ({"sql": ""}, "'sql' is empty"),
    ({"sql": "  \n"}, "'sql' is empty"),
    ({"sql": "-- nothing"}, "'sql' is empty"),
    ({"sql": "None"}, "'sql' is the text None"),
    ({"sql": ["SELECT 1"]}, "must be the text of one query, not list"),
    ({"sql": "UPDATE rooms SET a = 1"}, "statement UPDATE, which returns no rows"),
    ({"sql": "/* x */ (delete from rooms)"}, "statement DELETE"),
    ({"sql_conn_id": None}, "'sql' is given without 'sql_conn_id'"),
    ({"sql_conn_id": ""}, "'sql_conn_id' must be the id of a connection"),
    ({"sql_conn_id": "None"}, "'sql_conn_id' must be the id of a connection"),
    (
        {"parameters": "['S-CANARY']"},
        "'parameters' must be a list or an object, not a text that a template made",
    ),
    ({"parameters": "None"}, "'parameters' must be a list or an object"),
    ({"sql_timezone": "Copenhagen"}, "'sql_timezone' 'Copenhagen' is not known"),
    ({"csv_delimiter": ";"}, "'csv_delimiter' says how a file is read"),
    ({"encoding": "utf-8"}, "'encoding' says how a file is read"),
    ({"source_format": "csv"}, "'source_format' says how a file is read"),
    ({"sql": None, "sql_conn_id": "warehouse"}, "'sql_conn_id' is given without 'sql'"),
    ({"sql": None, "sql_conn_id": None, "parameters": [1]}, "'parameters' is given without 'sql'"),
    ({"sql": None, "sql_conn_id": None, "sql_timezone": "UTC"}, "'sql_timezone' is given without 'sql'"),
]


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize(("given", "words"), BAD, ids=lambda value: str(value)[:40])
def test_arguments_of_a_query_are_checked(
    sandbox: Sandbox, kind: Any, given: dict[str, Any], words: str
) -> None:
    with pytest.raises(InputError) as caught:
        run(kind, **{"sql": "SELECT 1", **given})
    assert any(words in problem for problem in caught.value.problems)
    assert "S-CANARY" not in str(caught.value)
    assert not sandbox.counters.requests


@pytest.mark.parametrize("kind", OPERATORS)
def test_all_problems_of_arguments_are_raised_together(kind: Any) -> None:
    other = {
        IoTStudioWritePropertiesOperator: {"concurrency": 0},
        LeanIXStartRunOperator: {"test_run": "maybe"},
        LeanIXRunOperator: {"fail_on": "never"},
    }.get(kind, {"batch_size": 0})
    with pytest.raises(InputError) as caught:
        run(kind, " ", sql_conn_id="", sql_timezone="x", encoding="utf-8", min_rows=-1, columns=5, **other)
    assert len(caught.value.problems) == 7


def test_a_sql_file_is_read_as_a_template(sandbox: Sandbox, tmp_path: Path) -> None:
    from airflow.sdk import DAG

    (tmp_path / "rooms.sql").write_text("SELECT '{{ params.site }}' AS id")
    with DAG("d", schedule=None, template_searchpath=str(tmp_path), params={"site": "A"}) as dag:
        one = task(MapsIndoorsUpdateGeodataOperator, "rooms.sql", parameters={"a": "{{ params.site }}"})
    one.resolve_template_files()
    one.render_template_fields({"params": {"site": "A"}, "dag": dag})
    assert (one.sql, one.parameters) == ("SELECT 'A' AS id", {"a": "A"})


def test_a_connection_that_is_no_database_is_refused(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="connection 'warehouse': does not exist"):
        run(MapsIndoorsUpdateGeodataOperator, "SELECT 1")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", '{"conn_type": "leanix", "host": "http://127.0.0.1"}')
    words = r"is of type 'leanix' \(LeanIXHook\), which is no SQL database"
    with pytest.raises(InputError, match=words):
        run(MapsIndoorsUpdateGeodataOperator, "SELECT 1")
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", '{"conn_type": "abacus"}')
    with pytest.raises(InputError, match="is of type 'abacus', which no installed provider has"):
        run(MapsIndoorsUpdateGeodataOperator, "SELECT 1")
    assert not sandbox.counters.requests


def open_sqlite(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Callable[[str], list[Any]]:
    path = folder / "rows.sqlite"
    connect_file(monkeypatch, "sqlite", path)

    def query(sql: str) -> list[Any]:
        with sqlite3.connect(path) as connection:
            return connection.execute(sql).fetchall()

    return query


def open_duckdb(monkeypatch: pytest.MonkeyPatch, folder: Path) -> Callable[[str], list[Any]]:
    import duckdb

    register_hook(monkeypatch, DuckDBHook)
    path = folder / "rows.duckdb"
    connect_file(monkeypatch, "duckdb", path)

    def query(sql: str) -> list[Any]:
        with duckdb.connect(str(path)) as connection:
            return connection.execute(sql).fetchall()

    return query


def open_postgres(database: Database) -> Callable[[str], list[Any]]:
    return lambda sql: database.query(f"{sql}")


@pytest.fixture(params=["psycopg", "psycopg2", "sqlite", "duckdb"])
def query(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str], list[Any]]:
    """Return a function that runs a statement in the database of the connection ``warehouse``."""
    if request.param in DRIVERS:
        use_driver(monkeypatch, request.param)
        database: Database = request.getfixturevalue("database")
        database.query("ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO loader")
        return open_postgres(database)
    return {"sqlite": open_sqlite, "duckdb": open_duckdb}[request.param](monkeypatch, tmp_path)


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO t VALUES (2, 'b') RETURNING n",
        "WITH x AS (SELECT 3 AS n) INSERT INTO t SELECT n, 'c' FROM x RETURNING n",
        "WITH x AS (INSERT INTO t VALUES (4, 'd') RETURNING n) SELECT * FROM x",
        "UPDATE t SET s = 'x' RETURNING n",
        "UPDATE t SET s = 'x'",
        "DELETE FROM t",
        "DROP TABLE t",
        "CREATE TABLE u AS SELECT 1 AS a",
        "SELECT 1 AS a; DELETE FROM t; COMMIT",
        "SELECT 1 AS a; COMMIT; DELETE FROM t",
        "BEGIN; DELETE FROM t; COMMIT",
        "TRUNCATE t",
    ],
)
def test_a_query_changes_nothing(sandbox: Sandbox, query: Callable[[str], list[Any]], sql: str) -> None:
    query("CREATE TABLE t (n int, s varchar(9))")
    query("INSERT INTO t VALUES (1, 'a')")
    with pytest.raises(InputError):
        run(MapsIndoorsUpdateGeodataOperator, sql)
    assert query("SELECT * FROM t") == [(1, "a")]
    with pytest.raises(Exception, match=r"(?i)u"):
        query("SELECT * FROM u")
    assert not sandbox.counters.requests


def test_a_statement_without_rows_is_refused(sandbox: Sandbox, query: Callable[[str], list[Any]]) -> None:
    query("CREATE TABLE t (n int)")
    with pytest.raises(InputError, match="returns no rows"):
        run(MapsIndoorsUpdateGeodataOperator, "UPDATE t SET n = 2")
    with pytest.raises(InputError, match=r"returns no rows|^sql: "):
        run(MapsIndoorsUpdateGeodataOperator, "ROLLBACK")
    with pytest.raises(InputError, match=r"returns no rows|^sql: "):
        run(MapsIndoorsUpdateGeodataOperator, "BEGIN")


def test_a_wrong_statement_names_the_mistake(sandbox: Sandbox, query: Callable[[str], list[Any]]) -> None:
    query("CREATE TABLE t (n int, s varchar(9))")
    query("INSERT INTO t VALUES (1, 'S-CANARY')")
    with pytest.raises(InputError, match="cannot be run on the connection 'warehouse': .*nowhere"):
        run(MapsIndoorsUpdateGeodataOperator, "SELECT * FROM nowhere")
    with pytest.raises(InputError, match="cannot be run on the connection 'warehouse': .*misspelt"):
        run(MapsIndoorsUpdateGeodataOperator, "SELECT misspelt FROM t")
    with pytest.raises(InputError, match="cannot be run on the connection 'warehouse': "):
        run(MapsIndoorsUpdateGeodataOperator, "SELECT FROM WHERE")


def test_a_function_changes_nothing_with_autocommit_either(
    sandbox: Sandbox, database: Database, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.query("CREATE TABLE t (n int)")
    database.query(
        "CREATE FUNCTION add_row() RETURNS int LANGUAGE sql AS 'INSERT INTO t VALUES (1) RETURNING n'"
    )
    database.query("GRANT ALL ON t TO loader")
    # The other driver has no such option.
    extra = {"autocommit": True} if driver == "psycopg" else {}
    connection = database.airflow_connection(extra=json.dumps(extra))
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", connection)
    with pytest.raises(InputError, match="read-only transaction.*a query must only read"):
        run(MapsIndoorsUpdateGeodataOperator, "SELECT add_row() AS id")
    assert database.query("SELECT count(*) FROM t") == [(0,)]


def test_wrong_rows_are_named_by_row_key_and_column(
    sandbox: Sandbox, database: Database, driver: str
) -> None:
    rooms = rooms_of(sandbox, 2)
    sql = (
        f"SELECT '{rooms[0]['id']}' AS id, 'NaN'::float8 AS capacity, '{{}}'::bytea AS \"name@en\" UNION ALL"
        f" SELECT '{rooms[1]['id']}', 4, NULL"
    )
    with pytest.raises(InputError) as caught:
        run(MapsIndoorsUpdateGeodataOperator, sql)
    assert caught.value.subject == "sql"
    assert caught.value.problems == [
        f"row 1 ({rooms[0]['id']}): capacity is NaN; select NULL for a value that is not there",
        f"row 1 ({rooms[0]['id']}): name@en is binary (2 bytes); only a geometry may be",
    ]
    with pytest.raises(InputError, match=r"row 1 \(.*\): property 'setpoint' is an interval"):
        run(IoTStudioWritePropertiesOperator, f"SELECT '{THINGS[0]}' AS uid, interval '1 day' AS setpoint")
    with pytest.raises(
        InputError, match=r"item 1 \(a\): field 'since' is a time without a time zone; .*sql_time"
    ):
        run(
            LeanIXStartRunOperator,
            "SELECT 'App' AS type, 'a' AS id, timestamp '2026-01-01' AS since",
        )
    assert not sandbox.counters.requests


GEOMETRIES = {
    "geom": None,
    "ST_AsEWKB(geom)": None,
    "ST_AsBinary(geom)": None,
    "ST_AsText(geom)": None,
    "ST_AsEWKT(geom)": None,
    "ST_AsGeoJSON(geom)": None,
    "ST_AsGeoJSON(geom)::jsonb": None,
    "ST_SetSRID(geom, 0)": None,
    "ST_Transform(geom, 25832)": "has SRID 25832.*ST_Transform",
    "ST_AsEWKT(ST_Transform(geom, 25832))": "has SRID 25832.*ST_Transform",
    "ST_AsGeoJSON(ST_Transform(geom, 25832))": "has SRID 25832.*ST_Transform",
    "'\\x01020304'::bytea": "is not WKB",
}


@pytest.mark.parametrize("sql", GEOMETRIES)
def test_geometries_of_postgis_are_read(sandbox: Sandbox, database: Database, driver: str, sql: str) -> None:
    rooms = rooms_of(sandbox, 5)
    fill_rooms(database, rooms)
    given = f"SELECT externalid, {sql} AS geometry FROM rooms"
    if problem := GEOMETRIES[sql]:
        with pytest.raises(InputError, match=problem):
            run(MapsIndoorsSyncGeodataOperator, given)
    else:
        assert run(MapsIndoorsSyncGeodataOperator, given)["unchanged"] == 5


def test_a_failed_connection_can_be_retried(
    sandbox: Sandbox, database: Database, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from airflow_provider.core.compat import without_retry

    wrong = "W-CANARY p%ss/ä'"
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database.airflow_connection(password=wrong))
    with pytest.raises(
        DatabaseError, match=r"connection 'warehouse' cannot be reached: .*password auth"
    ) as caught:
        run(MapsIndoorsUpdateGeodataOperator, "SELECT 1")
    assert "CANARY" not in str(caught.value)
    assert type(without_retry(caught.value)) is not type(caught.value)
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database.airflow_connection(port=1))
    with pytest.raises(DatabaseError, match="cannot be reached: .*refused"):
        run(MapsIndoorsUpdateGeodataOperator, "SELECT 1")
    assert not sandbox.counters.requests


@pytest.mark.parametrize("setting", ["datestyle=German", "datestyle=SQL,DMY", "client_encoding=SQL_ASCII"])
def test_settings_of_a_role_change_no_row(
    sandbox: Sandbox, database: Database, driver: str, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    """psycopg 3 reads moments in ISO's style only, and texts of no encoding as bytes."""
    extra = json.dumps({"options": f"-c {setting}"})
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database.airflow_connection(extra=extra))
    room = rooms_of(sandbox, 1)[0]
    day = "1.2.2027" if "date" in setting else "2027-02-01"  # The order of the query's own texts stays.
    times = f"'2026-04-03 01:02Z'::timestamptz AS activefrom, '{day}'::date AS activeto"
    sql = f"""SELECT '{room["id"]}' AS id, 'Køkken €' AS "name@en", {times}"""
    run(MapsIndoorsUpdateGeodataOperator, sql)
    properties = sandbox.mapsindoors.campus.geodata[room["id"]]
    assert properties["properties"]["name@en"] == "Køkken €"
    assert properties["baseTypeProperties"]["activefrom"] == "2026-04-03T01:02:00Z"
    assert properties["baseTypeProperties"]["activeto"] == "2027-02-01T00:00:00Z"


def test_a_statement_timeout_can_be_retried(
    sandbox: Sandbox, database: Database, driver: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    extra = json.dumps({"options": "-c statement_timeout=50"})
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database.airflow_connection(extra=extra))
    with pytest.raises(DatabaseError, match="canceling statement due to statement timeout"):
        run(MapsIndoorsUpdateGeodataOperator, "SELECT pg_sleep(30)")


def test_the_log_says_how_many_rows_were_read(
    sandbox: Sandbox, database: Database, driver: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError):
        run(MapsIndoorsUpdateGeodataOperator, "SELECT n AS id FROM generate_series(1, 7) n")
    assert "Read 7 rows with 1 columns from the connection 'warehouse'" in capsys.readouterr().out


@pytest.mark.parametrize("kind", OPERATORS)
@pytest.mark.parametrize("lost", ["None", ""])
def test_a_limit_that_a_template_lost_is_refused(sandbox: Sandbox, kind: Any, lost: str) -> None:
    with pytest.raises(InputError, match="min_rows"):
        run(kind, "SELECT 1 AS id", min_rows=lost)
    assert not sandbox.counters.requests
