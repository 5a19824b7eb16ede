"""Fixtures of all tests: a temporary Airflow home, the sandbox, PostgreSQL, Redis and an S3 server."""

from __future__ import annotations

import gc
import json
import os
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.support.own_folder import OWN

HOME = str(OWN)
os.environ["AIRFLOW_HOME"] = HOME
os.environ["AIRFLOW__CORE__DAGS_FOLDER"] = f"{HOME}/dags"
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__UNIT_TEST_MODE"] = "False"
os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{HOME}/airflow.db"
os.environ["DIGITAL_TWIN_STORE"] = f"{HOME}/budgets"
# Storage without a connection is asked for on this machine: nothing listens there.
os.environ["AWS_ENDPOINT_URL"] = "http://127.0.0.1:9"
os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
os.environ.pop("AIRFLOW_CONFIG", None)
for name in [name for name in os.environ if name.startswith("AIRFLOW_CONN_")]:
    del os.environ[name]

from hypothesis import settings  # noqa: E402

from airflow_provider.sandbox.server import Sandbox  # noqa: E402
from dev import redis_server  # noqa: E402
from dev.mariadb_server import MariaDbServer  # noqa: E402
from dev.postgres_server import PostgresServer  # noqa: E402
from dev.redis_server import RedisServer  # noqa: E402
from tests.support import postgres  # noqa: E402
from tests.support.hypothesis_sizes import LONG, examples  # noqa: E402
from tests.support.long_first import LongFirst  # noqa: E402
from tests.support.selection import Selection, short_form  # noqa: E402

# No deadline, because a busy machine is slow at times; the benchmarks measure durations. The long form
# searches for examples, all others use the same ones in each run, so that no result depends on chance.
settings.register_profile("sized", deadline=None, max_examples=examples(100), derandomize=not LONG)
settings.load_profile("sized")


EMBEDDED, POSTGRESQL = "embedded", "postgresql"
"""Engines of AmigoCloud's SQL."""

GC_THRESHOLD = 20_000
"""New objects after which Python looks for garbage; its default of 2,000 costs a tenth of the time."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of the short form, and of the oldest pair of versions."""
    parser.addoption("--short", action="store_true", help="run one case of a test, and none marked nightly")
    parser.addoption("--floor", action="store_true", help="run the tests that may depend on versions only")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the tests, and their order; look for no garbage before they are collected."""
    gc.disable()
    config.pluginmanager.register(LongFirst())
    if config.getoption("--short"):
        config.pluginmanager.register(Selection("short", short_form))
    if config.getoption("--floor"):
        from tests.support.version_pairs import left_out

        config.pluginmanager.register(Selection("floor", left_out))


def pytest_collection_finish() -> None:
    """Take what is loaded by now out of garbage collection: Airflow and the tests stay until the end."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD)
    gc.enable()


@pytest.fixture(autouse=True)
def budget_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Use a folder for request budgets that no other test and no other program uses."""
    with tempfile.TemporaryDirectory(prefix="budgets-", dir=HOME) as folder:
        monkeypatch.setenv("DIGITAL_TWIN_STORE", folder)
        yield Path(folder)


@pytest.fixture(autouse=True)
def attached_storages() -> Iterator[None]:
    """Forget the storages that a test uses: Airflow keeps the first one of a name as long as the process."""
    yield
    if (store := sys.modules.get("airflow.sdk.io.store")) is not None:
        store._STORE_CACHE.clear()


@pytest.fixture(scope="session")
def running_sandbox() -> Iterator[Sandbox]:
    """Serve the four APIs during the test session."""
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def running_postgres_sandbox(running_postgres: PostgresServer) -> Iterator[Sandbox]:
    """Serve the four APIs during the test session, AmigoCloud's SQL on a PostgreSQL server."""
    with Sandbox(amigocloud_sql=postgres.sandbox_url(running_postgres)) as sandbox:
        yield sandbox


@pytest.fixture
def sql_engine(request: pytest.FixtureRequest) -> str:
    """Return the engine of AmigoCloud's SQL: ``embedded``, or as the mark ``both_engines`` sets it."""
    return str(getattr(request, "param", EMBEDDED))


@pytest.fixture
def sandbox(request: pytest.FixtureRequest, sql_engine: str, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """Return the sandbox, reset, with its connections in the environment."""
    name = "running_sandbox" if sql_engine == EMBEDDED else "running_postgres_sandbox"
    running: Sandbox = request.getfixturevalue(name)
    running.reset()
    for conn_id, text in running.connections.items():
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", text)
    return running


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests with the mark ``both_engines`` on each of them, except those with ``one_engine``."""
    marks = {mark.name: mark for mark in metafunc.definition.iter_markers()}
    if "both_engines" not in marks or "sandbox" not in metafunc.fixturenames:
        return
    chosen = [marks["one_engine"].args[0]] if "one_engine" in marks else [EMBEDDED, POSTGRESQL]
    # What a server answers does not depend on the versions of Python and Airflow.
    params = [
        pytest.param(engine, marks=[pytest.mark.slow] if engine == POSTGRESQL else []) for engine in chosen
    ]
    metafunc.parametrize("sql_engine", params, indirect=True)


@pytest.fixture(scope="session")
def redis_program() -> str:
    """Return the path of a Redis server; without one the tests that need it fail where ``CI`` is true."""
    try:
        return redis_server.find_program()
    except redis_server.NoRedisServerError as problem:
        text = f"!!!! NOT TESTED with Redis: {problem} !!!!"
        if os.environ.get("CI") == "true":
            pytest.fail(text)
        pytest.skip(text)


@pytest.fixture(scope="session")
def running_redis(redis_program: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Serve Redis during the test session, on a port and in a folder of its own."""
    with redis_server.running(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture(scope="session")
def running_mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDbServer]:
    """Serve MariaDB during the test session."""
    from tests.support import mariadb

    with mariadb.running_server(tmp_path_factory.mktemp("mariadb")) as server:
        yield server


@pytest.fixture(scope="session")
def running_postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """Serve PostgreSQL with PostGIS during the test session; without one the tests fail."""
    with postgres.running_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture
def database(
    running_postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> Iterator[postgres.Database]:
    """Yield an empty database with PostGIS, which the connection ``warehouse`` leads to."""
    with postgres.new_database(running_postgres) as database:
        monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", database.airflow_connection())
        yield database


@pytest.fixture(scope="session")
def running_s3() -> Iterator[str]:
    """Serve S3 during the test session, and yield its URL."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(running_s3: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Yield a client of an S3 server with the empty bucket ``twin`` and the connection ``aws_s3``."""
    import boto3
    from botocore.config import Config

    extra = {"region_name": "eu-north-1", "endpoint_url": running_s3}
    connection = {"conn_type": "aws", "login": "key", "password": "secret", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_S3", json.dumps(connection))
    client = boto3.client(
        "s3",
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        config=Config(retries={"max_attempts": 1}),
        **extra,
    )
    region = {"LocationConstraint": extra["region_name"]}
    client.create_bucket(Bucket="twin", CreateBucketConfiguration=region)
    yield client
    urllib.request.urlopen(urllib.request.Request(f"{running_s3}/moto-api/reset", method="POST")).close()


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Create Airflow's metadata database, for tests that run whole DAGs; takes a few seconds."""
    from airflow.utils import db

    Path(HOME, "dags").mkdir(exist_ok=True)
    db.initdb()
    _share_the_api_of_tasks()


def _share_the_api_of_tasks() -> None:
    """Keep the API that tasks ask, as Airflow 3.3 does; 3.1 spends half a second on one for each task."""
    from airflow.sdk.execution_time import supervisor

    if not hasattr(supervisor.in_process_api_server, "cache_info"):
        supervisor.in_process_api_server = cache(supervisor.in_process_api_server)


@pytest.fixture
def run_dag(airflow_db: None) -> Callable[..., Any]:
    """Return a function that runs a DAG in this process, deferrals included, and returns its DagRun.

    The first run of a session takes seconds, each further run a tenth of a second.
    """

    def run(dag: Any, **options: Any) -> Any:
        _serialise(dag)
        return dag.test(**options)

    return run


def _serialise(dag: Any) -> None:
    """Store the serialised DAG, which Airflow needs before a run of a DAG outside the DAG folder."""
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.serialized_dag import SerializedDagModel
    from airflow.serialization import serialized_objects
    from airflow.utils.session import create_session

    try:
        from airflow.serialization.definitions.dag import SerializedDAG
    except ImportError:  # Airflow 3.1
        SerializedDAG = serialized_objects.SerializedDAG  # noqa: N806

    lazy = serialized_objects.LazyDeserializedDAG.from_dag(dag)
    with create_session() as session:
        if session.get(DagBundleModel, "tests") is None:
            session.add(DagBundleModel(name="tests"))
            session.flush()
        SerializedDAG.bulk_write_to_db("tests", None, [lazy], session=session)
        SerializedDagModel.write_dag(lazy, bundle_name="tests", session=session)


@pytest.fixture(autouse=True)
def _forget_masked_secrets() -> None:
    """Remove the secrets of earlier tests from the masker, which slows down with each known secret."""
    from airflow.sdk._shared.secrets_masker import _secrets_masker

    _secrets_masker().reset_masker()
