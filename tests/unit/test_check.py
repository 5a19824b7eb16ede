"""The command that tests a connection: one sentence, and an exit code."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest

from airflow_provider.check import main
from airflow_provider.connection_hooks import hook_class
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.sandbox.server import Sandbox

ROOT = Path(__file__).resolve().parents[2]
TYPES = ("mapsindoors", "amigocloud", "iotstudio", "leanix")


@pytest.fixture(autouse=True)
def context(monkeypatch: pytest.MonkeyPatch) -> None:
    """Restore the variable that the command sets."""
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "client")


@pytest.mark.parametrize("kind", TYPES)
def test_a_connection_that_works_is_one_sentence_and_exit_code_0(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], kind: str
) -> None:
    assert main([f"{kind}_default"]) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line


@pytest.mark.parametrize("kind", TYPES)
def test_wrong_credentials_are_one_sentence_and_exit_code_1(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    connection = json.loads(sandbox.connections[f"{kind}_default"])
    value = json.dumps({**connection, "password": "wr%ng/s+cret"})
    monkeypatch.setenv(f"AIRFLOW_CONN_{kind.upper()}_DEFAULT", value)
    assert main([f"{kind}_default"]) == 1
    shown = capsys.readouterr()
    (line,) = shown.out.splitlines()
    assert "credentials" in line
    assert "wr%" not in shown.out + shown.err


@pytest.mark.parametrize("kind", ["mapsindoors", "leanix"])
def test_a_wrong_login_url_is_found_although_tasks_share_a_token_of_the_right_one(
    sandbox: Sandbox, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    assert main([f"{kind}_default"]) == 0
    connection = json.loads(sandbox.connections[f"{kind}_default"])
    connection["extra"]["auth_url"] = f"{sandbox.url}/nowhere"
    monkeypatch.setenv(f"AIRFLOW_CONN_{kind.upper()}_DEFAULT", json.dumps(connection))
    assert main([f"{kind}_default"]) == 1
    assert "auth_url" in capsys.readouterr().out.splitlines()[-1]


def test_a_connection_that_is_not_there_or_of_another_type_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", '{"conn_type": "postgres"}')
    assert main(["nowhere"]) == 1
    assert main(["other"]) == 1
    first, second = capsys.readouterr().out.splitlines()
    assert first == "there is no connection 'nowhere'"
    assert second.startswith("connection 'other' is of the type 'postgres'; known types are ")


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("other", [*TYPES, "postgres", "fs"])
def test_the_credentials_of_another_service_are_sent_nowhere(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, kind: str, other: str
) -> None:
    connection = {"conn_type": other, "host": f"{sandbox.url}/{kind}", "login": "l", "password": "s3cret"}
    monkeypatch.setenv("AIRFLOW_CONN_MISTAKEN", json.dumps(connection))
    works, sentence = hook_class(kind)("mistaken").test_connection()
    assert not works
    if other != kind:
        assert sentence == f"connection 'mistaken': its type is '{other}', not '{kind}'"
        assert sandbox.counters.total("") == 0


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize("other", ["http", "generic", ""])
def test_a_connection_whose_type_names_no_service_is_read(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, kind: str, other: str
) -> None:
    connection = json.loads(sandbox.connections[f"{kind}_default"])
    monkeypatch.setenv("AIRFLOW_CONN_BY_HAND", json.dumps({**connection, "conn_type": other}))
    works, sentence = hook_class(kind)("by_hand").test_connection()
    assert works, sentence


def test_a_hook_that_is_derived_from_a_services_may_have_a_type_of_its_own(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OurHook(LeanIXHook):
        conn_type = "our_leanix"

    connection = json.loads(sandbox.connections["leanix_default"])
    monkeypatch.setenv("AIRFLOW_CONN_OURS", json.dumps({**connection, "conn_type": "our_leanix"}))
    assert OurHook("ours").test_connection()[0]


@pytest.mark.parametrize("kind", TYPES)
@pytest.mark.parametrize(
    "wrong",
    [
        {"conn_type": "postgres"},
        {"password": None, "extra": {}},
        {"extra": {"no": 1}},
        {"host": "http://a.b"},
    ],
)
def test_a_wrong_connection_has_the_same_sentence_in_an_event_loop(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, kind: str, wrong: dict[str, object]
) -> None:
    connection = json.loads(sandbox.connections[f"{kind}_default"])
    monkeypatch.setenv("AIRFLOW_CONN_WRONG", json.dumps({**connection, **wrong}))
    expected = hook_class(kind)("wrong").test_connection()

    async def ask() -> tuple[bool, str]:
        async with hook_class(kind)("wrong") as hook:
            return await hook.atest_connection()

    assert asyncio.run(ask()) == expected
    assert not expected[0]


def test_a_connection_that_cannot_be_read_is_not_only_missing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BROKEN", '{"conn_type": "leanix", "password": "s3cret", ')
    assert main(["broken"]) == 1
    shown = capsys.readouterr()
    assert shown.out == "there is no connection 'broken'\n"
    assert "EnvironmentVariablesBackend could not be searched: JSONDecodeError\n" in shown.err
    assert "s3cret" not in shown.err


@pytest.mark.parametrize("conn_id", ["leanix_default", "nowhere"])
def test_what_is_logged_afterwards_is_as_before(sandbox: Sandbox, conn_id: str) -> None:
    log = logging.getLogger("airflow_provider")
    before = log.level
    main([conn_id])
    assert log.level == before


def test_a_missing_argument_is_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 1
    assert "CONN_ID" in capsys.readouterr().err


def test_letters_that_the_output_lacks_are_shown_as_escapes(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The solution's name has an ``ø``, by which the command ended in ``UnicodeEncodeError``."""
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    assert main(["mapsindoors_default"]) == 0
    out.seek(0)
    assert r"\xf8" in out.read()


def test_the_command_runs_without_a_task(sandbox: Sandbox, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "airflow_provider.check", "leanix_default"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, len(done.stdout.splitlines())) == (0, 1), done.stderr
