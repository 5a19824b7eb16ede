"""The command: its exit codes, its lines, its report, and bad days."""

from __future__ import annotations

import ast
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import Connection

from airflow_provider.conformance import opening
from airflow_provider.conformance.catalogue import SERVICES, lacking, table
from airflow_provider.conformance.command import main
from airflow_provider.conformance.unasked import QUESTIONS, REASONS
from airflow_provider.sandbox.amigocloud.seed import READ_TOKEN
from airflow_provider.sandbox.switches import switches_of
from tests.support.conformance import SharedClock, finish_a_run

PAGE = Path(__file__).resolve().parents[3] / "docs" / "conformance.md"


def run(sandbox: Any, *arguments: str) -> int:
    with SharedClock(sandbox).running() as clock:
        return main(arguments, clock)


def changed(sandbox: Any, name: str, **fields: Any) -> str:
    return json.dumps({**json.loads(sandbox.connections[f"{name}_default"]), **fields})


@pytest.mark.parametrize("name", ["mapsindoors", "amigocloud", "iotstudio", "leanix"])
def test_a_service_as_assumed_is_a_0(sandbox: Any, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    if name == "leanix":
        finish_a_run(sandbox)
    assert run(sandbox, f"{name}_default") == 0
    lines = capsys.readouterr().out.splitlines()
    shown = [
        line for line in lines if line.partition(" ")[0] in {check.id for check in SERVICES[name].checks}
    ]
    service = SERVICES[name]
    asked = [check for check in service.checks if not lacking(check, "read", opt_in=False, wait=False)]
    assert len(shown) == len(asked)
    conditions = sum(bool(check.condition) for check in asked)
    assert lines[-1].startswith(f"{len(shown) - conditions} same, 0 differs, 0 differs!, 0 unsettled")


def test_letters_that_the_output_lacks_are_shown_as_escapes(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr(sys, "stdout", out)
    sandbox.amigocloud.page_clamp = 500
    assert run(sandbox, "amigocloud_default", "--only", "A3.page") == 1
    out.seek(0)
    assert r"found 500 \u2192 sandbox.amigocloud.page_clamp=500" in out.read()


def test_harmless_differences_are_a_1(sandbox: Any, capsys: pytest.CaptureFixture[str]) -> None:
    sandbox.amigocloud.page_clamp = 500
    assert run(sandbox, "amigocloud_default", "--only", "A3.page") == 1
    out = capsys.readouterr().out
    assert "A3.page            differs   assumed a page of SQL has at most 1000 rows, found 500" in out
    assert "→ sandbox.amigocloud.page_clamp=500" in out
    assert "--set amigocloud.page_clamp=500" in out


def test_differences_that_lose_data_are_a_2(sandbox: Any, capsys: pytest.CaptureFixture[str]) -> None:
    sandbox.amigocloud.count_error = -1
    sandbox.amigocloud.page_clamp = 500
    assert run(sandbox, "amigocloud_default", "--only", "a3") == 2
    assert "A3.count           differs!" in capsys.readouterr().out


@pytest.mark.parametrize("level", ["public", "read"])
@pytest.mark.parametrize("name", ["mapsindoors", "amigocloud", "iotstudio", "leanix"])
def test_an_unreachable_host_is_a_3(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, name: str, level: str, capsys: pytest.CaptureFixture[str]
) -> None:
    connection = json.loads(changed(sandbox, name, host="http://127.0.0.1:9"))
    connection["extra"] = {**connection["extra"], "auth_url": "http://127.0.0.1:9"}
    if name in {"amigocloud", "iotstudio"}:
        del connection["extra"]["auth_url"]
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}_DEFAULT", json.dumps(connection))
    assert run(sandbox, f"{name}_default", "--level", level) == 3
    assert "No access" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["mapsindoors", "amigocloud", "iotstudio", "leanix"])
def test_refused_credentials_are_a_3(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "wr0ng/pass+word=&%21"
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}_DEFAULT", changed(sandbox, name, password=secret))
    assert run(sandbox, f"{name}_default") == 3
    said = capsys.readouterr()
    assert secret not in said.out + said.err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["no_such_connection"],
        ["leanix_default", "--level", "all"],
        ["leanix_default", "--only", "M3"],
        ["leanix_default", "--no-such-option"],
        ["other_type"],
        ["incomplete"],
    ],
)
def test_bad_arguments_are_a_4(sandbox: Any, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_OTHER_TYPE", json.dumps({"conn_type": "postgres", "host": "h"}))
    monkeypatch.setenv("AIRFLOW_CONN_INCOMPLETE", json.dumps({"conn_type": "leanix"}))
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 4
    assert sandbox.counters.report()["services"] == {} or sandbox.counters.total("leanix") == 0


@pytest.mark.parametrize(
    "extra",
    ['{"a":' * 200_000 + "1" + "}" * 200_000, f'{{"timeout": {"9" * 5000}}}', "[]", "{"],
    ids=["nested too deeply", "thousands of digits", "a list", "no JSON"],
)
def test_an_extra_that_cannot_be_read_is_a_4_and_one_sentence(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, extra: str, capsys: Any
) -> None:
    # Airflow finds no connection of the environment with such an extra; its database may hold one.
    found = Connection(conn_id="amigocloud_default", conn_type="amigocloud", extra=extra)
    monkeypatch.setattr(opening, "find_connection", lambda _: found)
    with pytest.raises(SystemExit) as ended:
        main(["amigocloud_default", "--level", "public"])
    assert ended.value.code == 4
    told = capsys.readouterr().err.splitlines()[-1]
    assert told.endswith(": connection 'amigocloud_default': extra is not a JSON object")
    assert sandbox.counters.total("amigocloud") == 0


@pytest.mark.parametrize(
    ("arguments", "missing"),
    [
        (["iotstudio_default", "--only", "I7.rate"], "I7.rate needs --burst"),
        (["iotstudio_default", "--only", "I7"], "I7 needs --burst"),
        (["iotstudio_default", "--only", "i2.cursor_age"], "i2.cursor_age needs --wait"),
        (["iotstudio_default", "--only", "I4", "--level", "public"], "I4 needs --level read"),
        (["iotstudio_default", "--only", "I7", "--level", "public"], "I7 needs --level read --burst"),
        (["mapsindoors_default", "--only", "M6"], "M6 needs --level scratch"),
        (["leanix_default", "--only", "L2,L7,L9,M1"], "L7 needs --level scratch - L9 needs --burst"),
        (["leanix_default", "--only", "L2,M1"], "there is no check 'M1'"),
        (["leanix_default", "--only", ","], "--only names no check"),
        (["leanix_default", "--only", ""], "--only names no check"),
    ],
)
def test_a_choice_of_which_nothing_runs_is_a_4(
    sandbox: Any, arguments: list[str], missing: str, capsys: Any
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 4
    assert missing in capsys.readouterr().err
    assert sandbox.counters.report()["services"] == {}


def test_checks_of_a_group_that_need_an_option_are_listed_as_skipped(sandbox: Any, capsys: Any) -> None:
    assert run(sandbox, "iotstudio_default", "--only", "I4,I2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert "I4.group           skipped   (it needs --level scratch)" in lines
    assert "I2.cursor_age      skipped   (it needs --wait)" in lines
    assert lines[-1].startswith("7 same, 0 differs, 0 differs!, 0 unsettled, 2 skipped")


@pytest.mark.parametrize("name", list(SERVICES))
@pytest.mark.parametrize("status", [403, 401])
def test_a_missing_permission_is_no_behaviour(sandbox: Any, name: str, status: int, capsys: Any) -> None:
    path = "^(?!.*(token|swagger|openid))"
    sandbox.faults.add("status", service=name, path=path, times=None, status=status, body="<p>No</p>")
    assert run(sandbox, f"{name}_default", "--burst") == (3 if status == 401 else 1)
    pattern = r"^(\w+\.\w+) +(differs\S*|same|unsettled)"
    found = dict(re.findall(pattern, capsys.readouterr().out, re.MULTILINE))
    assert found.keys() <= ANSWERED[name]
    assert "unsettled" not in found.values()
    assert {id_ for id_, outcome in found.items() if outcome != "same"} <= ABOUT_TOKENS


ABOUT_TOKENS = frozenset(
    {"M4.bad_token", "A6.no_token", "A6.bad_token", "I1.no_token", "I1.bad_token", "L3.bearer"}
)
ANSWERED = {
    "mapsindoors": ABOUT_TOKENS
    | {"M1.post_code", "M1.delete_code", "M1.arrays", "M2.password_grant", "M4.lifetime"},
    "amigocloud": ABOUT_TOKENS | {"A7.jobs"},
    "iotstudio": ABOUT_TOKENS | {"I1.metadata", "I1.lifetime"},
    "leanix": ABOUT_TOKENS | {"L1.operations", "L2.lifetime", "L2.claims", "L3.api_token"},
}
"""Checks that read a description or a token, or ask about a wrong one."""


def test_a_refusal_of_the_metadata_is_no_behaviour(sandbox: Any, capsys: Any) -> None:
    sandbox.faults.add("status", service="iotstudio", path="openid", times=None, status=403)
    assert run(sandbox, "iotstudio_default", "--only", "I1.metadata") == 0
    assert "I1.metadata        skipped   (a permission is missing (403))" in capsys.readouterr().out


def test_a_user_who_may_only_read_has_no_runs_to_ask_about(sandbox: Any, capsys: Any) -> None:
    for method in ("PUT", "POST"):
        sandbox.faults.add(
            "status", service="leanix", method=method, path="integration", times=None, status=403
        )
    assert run(sandbox, "leanix_default", "--level", "scratch", "--yes", "--only", "L7,L8") == 0
    assert "6 skipped" in capsys.readouterr().out


@pytest.mark.parametrize("path", ["no/such/folder/report.json", "."])
def test_a_report_that_cannot_be_written_is_a_4_before_the_first_request(
    sandbox: Any, path: str, capsys: Any
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["iotstudio_default", "--json", path])
    assert ended.value.code == 4
    assert f"--json {path}" in capsys.readouterr().err
    assert sandbox.counters.report()["services"] == {}


def test_a_run_that_fails_leaves_an_earlier_report_and_no_empty_one(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_LEANIX_DEFAULT", changed(sandbox, "leanix", password="wrong"))
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    old.write_text("{}")
    for path in (old, new):
        assert run(sandbox, "leanix_default", "--json", str(path)) == 3
    assert (old.read_text(), new.exists()) == ("{}", False)


def test_the_level_public_needs_no_credentials(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in SERVICES:
        connection = json.loads(sandbox.connections[f"{name}_default"])
        extra = {key: value for key, value in connection["extra"].items() if key == "auth_url"}
        bare = {"conn_type": name, "host": connection["host"], "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}_DEFAULT", json.dumps(bare))
        assert run(sandbox, f"{name}_default", "--level", "public") == 0
    assert sum(sandbox.counters.tokens_issued.values()) == 0


def test_a_connection_without_a_project_skips_its_checks(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AMIGOCLOUD_DEFAULT", changed(sandbox, "amigocloud", extra={}))
    assert run(sandbox, "amigocloud_default") == 0
    out = capsys.readouterr().out
    assert "A3.page            skipped   (the connection names no project)" in out
    assert "A6.bad_token       same" in out


def test_a_missing_permission_skips_the_checks_that_need_it(sandbox: Any, capsys: Any) -> None:
    sandbox.leanix.allowed = False
    code = run(sandbox, "leanix_default")
    out = capsys.readouterr().out
    assert "L4.statuses        skipped   (a permission is missing (403))" in out
    assert "L2.claims          same" in out
    assert "L3.bearer          same" in out
    assert "L5.unknown_run     skipped   (a permission is missing (403))" in out
    assert code == 0


def test_a_missing_permission_makes_nothing(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_AMIGOCLOUD_DEFAULT", changed(sandbox, "amigocloud", password=READ_TOKEN))
    sandbox.iotstudio.client.scopes = ["thing.read", "category.read", "query.read"]
    extra = {**json.loads(sandbox.connections["iotstudio_default"])["extra"], "scopes": ["thing.read"]}
    monkeypatch.setenv("AIRFLOW_CONN_IOTSTUDIO_DEFAULT", changed(sandbox, "iotstudio", extra=extra))
    for name, check in (("amigocloud", "A9.lag"), ("iotstudio", "I6.null")):
        assert run(sandbox, f"{name}_default", "--level", "scratch", "--yes", "--only", check) == 0
        assert f"{check:<18} skipped   (a permission is missing (403))" in capsys.readouterr().out
    assert list(Path.cwd().glob("conformance-*")) == []


def test_checks_that_wait_say_so_first(sandbox: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sandbox, "leanix_default", "--wait", "--only", "L3") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "L3.expired waits about an hour, until a token has expired."
    assert lines[3].startswith("L3.expired         same")


def test_checks_that_wait_run_on_request_only(sandbox: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(sandbox, "leanix_default", "--burst", "--only", "L3") == 0
    assert "L3.expired         skipped   (it needs --wait)" in capsys.readouterr().out
    assert run(sandbox, "leanix_default", "--burst") == 0
    assert "L3.expired" not in capsys.readouterr().out


@pytest.mark.parametrize("name", list(SERVICES))
def test_a_storm_of_refusals_ends_soon_and_stays_open(sandbox: Any, name: str, capsys: Any) -> None:
    sandbox.switches.set(sandbox.switches.check({f"{name}.requests_per_second": 0}))
    assert run(sandbox, f"{name}_default") in {1, 3}
    assert sandbox.counters.total(name) <= 30
    assert "429" in capsys.readouterr().out


def test_no_run_sends_more_than_200_requests(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setattr("airflow_provider.conformance.meter.MAX_REQUESTS", 5)
    assert run(sandbox, "iotstudio_default") == 0
    assert sandbox.counters.total("iotstudio") == 5
    assert "requests of a run are used up" in capsys.readouterr().out


def test_the_report_is_written(sandbox: Any, tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    assert run(sandbox, "iotstudio_default", "--json", str(path)) == 0
    document = json.loads(path.read_text())
    assert document["counts"]["same"] == len(document["checks"])
    assert document["service"] == "iotstudio"


def test_the_page_has_the_table_of_all_checks() -> None:
    assert table() in PAGE.read_text()


def test_the_table_lists_every_check(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--table"]) == 0
    assert capsys.readouterr().out == table() + "\n"
    listed = re.findall(r"^\| `(\w+\.\w+)` \|", table(), re.MULTILINE)
    assert listed == [check.id for service in SERVICES.values() for check in service.checks]


def test_the_number_of_open_questions_is_that_of_the_checks() -> None:
    listed = re.findall(r"^\| `(\w+\.\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert listed == [check.id for service in SERVICES.values() for check in service.checks]
    assert f"There are {len(listed)} open questions" in PAGE.read_text()


@pytest.mark.parametrize("service", list(QUESTIONS))
def test_no_request_has_a_header_that_a_question_without_check_is_about(service: str) -> None:
    headers = re.findall(r"no request has `([\w-]+)`", " ".join(QUESTIONS[service].values()))
    assert len(headers) == len(QUESTIONS[service])
    package = PAGE.parents[1] / "airflow_provider"
    for path in (file for part in (service, "core/http") for file in (package / part).rglob("*.py")):
        nodes = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
        texts = {node.value.lower() for node in nodes if isinstance(node.value, str)}
        assert texts.isdisjoint({header.lower() for header in headers}), path


def test_each_switch_has_a_check_or_a_reason(sandbox: Any) -> None:
    for name, service in SERVICES.items():
        asked = {check.switch for check in service.checks}
        reasons = {switch: reason for reason, names in REASONS[name].items() for switch in names}
        assert asked.isdisjoint(reasons)
        assert asked | reasons.keys() == switches_of(sandbox.services[name]).keys()
        assert len(reasons) == sum(len(names) for names in REASONS[name].values())
