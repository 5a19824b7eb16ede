"""Processor configurations as code, the link to the sync log, and metrics."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest

from airflow_provider.errors import InputError
from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.leanix.links import LeanIXSyncLogLink
from airflow_provider.leanix.operators import LeanIXPutConfigurationOperator, LeanIXRunOperator
from airflow_provider.sandbox.leanix.seed import configuration_key, configurations
from tests.support.task_runner import TaskRunner

from .conftest import OUTBOUND


def put(configuration: Any) -> dict[str, Any]:
    return TaskRunner().run(LeanIXPutConfigurationOperator(task_id="put", configuration=configuration))


def report(**changes: Any) -> dict[str, Any]:
    found = next(one for one in configurations().values() if one["connectorType"] == "report")
    return {**found, **changes}


def test_configuration_file_is_put_once_and_its_differences_are_named(
    leanix: Any, sandbox: Any, tmp_path: Any
) -> None:
    wanted = report(sequentialExecution=True, variables={"site": {"default": "north"}})
    wanted["processors"][0]["fields"] = ["name", "lifecycle"]
    path = tmp_path / "report.json"
    path.write_text(json.dumps(wanted))
    first = put(str(path))
    assert first == {
        "configuration": ["report", "landscape", "1.0.0", "outbound", "partial"],
        "changed": True,
        "differences": ["~ sequentialExecution", "~ processors[0].fields", "+ variables"],
    }
    assert leanix.configurations[configuration_key(wanted)]["variables"] == wanted["variables"]
    assert put(str(path))["changed"] is False
    assert sandbox.counters.total("PUT") == 1


@pytest.mark.parametrize(
    ("name", "pack"),
    [
        ("a.json", lambda text: b"\xef\xbb\xbf" + text.encode()),
        ("a.json", lambda text: text.encode("utf-16")),
        ("a.json.gz", lambda text: gzip.compress(text.encode())),
        ("a.json.gz", lambda text: gzip.compress(b"\xef\xbb\xbf" + text.encode())),
    ],
    ids=["bom", "utf-16", "gz", "bom-gz"],
)
def test_configuration_files_may_have_a_mark_or_be_compressed(
    leanix: Any, tmp_path: Any, name: str, pack: Any
) -> None:
    path = tmp_path / name
    path.write_bytes(pack(json.dumps(report(connectorVersion="1.2.0"))))
    assert put(str(path))["changed"]
    assert len(leanix.configurations) == 4


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.json", '{"connectorType": "K\u00fcche"}'.encode("cp1252"), "is not utf-8"),
        ("a.json.gz", b"{}", "cannot be read"),
        ("a.json.gz", gzip.compress(b"{}", mtime=0)[:-4], "cannot be read"),
    ],
)
def test_configuration_files_that_cannot_be_read_are_named(
    leanix: Any, tmp_path: Any, name: str, data: bytes, said: str
) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(InputError, match=said):
        put(str(path))


def test_a_rendered_configuration_is_refused_shortly(leanix: Any, sandbox: Any) -> None:
    with pytest.raises(InputError, match=r"render_template_as_native_obj") as caught:
        put(json.dumps(report()) * 1000)
    assert len(str(caught.value)) < 300
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize("value", [float("nan"), b"x", object()])
def test_values_that_json_does_not_have_are_refused(leanix: Any, sandbox: Any, value: Any) -> None:
    with pytest.raises(InputError, match="variables"):
        put(report(variables={"site": {"default": value}}))
    with pytest.raises(InputError, match="connectorId"):
        put(report(connectorId=float("nan")))
    assert sandbox.counters.total() == 0


def test_new_version_is_put_beside_the_old_one(leanix: Any) -> None:
    assert put(report(connectorVersion="1.1.0"))["changed"]
    assert len(leanix.configurations) == 4


def test_credentials_of_a_configuration_are_never_shown(
    leanix: Any, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = {"apiToken": "very/secret+token"}
    result = put(report(credentials=secret))
    assert result["differences"] == ["+ credentials"]
    result = put(report(credentials={"apiToken": "another secret"}))
    assert result["differences"] == ["~ credentials.apiToken"]
    for text in (repr(result), caplog.text, *capsys.readouterr()):
        assert "secret" not in text


@pytest.mark.parametrize(
    ("configuration", "said"),
    [
        ({"connectorId": "x"}, "'connectorType' is missing"),
        (report(connectorVersion=1.0), "'connectorVersion' must be a text, not 1.0"),
        (report(connectorId=["landscape"]), "'connectorId' must be a text, not "),
        (report(processingDirection="Outbound"), "'processingDirection' must be inbound or outbound, not"),
        (report(processingMode="parial"), "'processingMode' must be partial or full, not 'parial'"),
        (report(processingMode=True), "'processingMode' must be a text, not True"),
        ({k: v for k, v in report().items() if k != "scope"}, "'scope' is missing"),
        ("/no/such/file.json", "no file"),
        ([], "must be a JSON object"),
    ],
)
def test_bad_configuration_is_refused_before_any_request(
    leanix: Any, sandbox: Any, configuration: Any, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        put(configuration)
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize("text", ["[" * 100_000, "{", ""])
def test_a_configuration_file_that_is_no_json_is_named(leanix: Any, tmp_path: Any, text: str) -> None:
    path = tmp_path / "report.json"
    path.write_text(text)
    with pytest.raises(InputError, match="report.json': is not JSON"):
        put(str(path))


@pytest.mark.parametrize("deferrable", [False, True])
def test_link_leads_to_the_workspaces_sync_log(leanix: Any, deferrable: bool) -> None:
    operator = LeanIXRunOperator(task_id="run", poll_interval=0.02, deferrable=deferrable, **OUTBOUND)
    (link,) = [link for link in operator.operator_extra_links if isinstance(link, LeanIXSyncLogLink)]
    assert link.get_link(operator, ti_key=None) == ""
    TaskRunner().run(operator)
    assert link.get_link(operator, ti_key=None) == f"{leanix.base_url}/campus/admin/synclog"


def test_counts_are_metrics(leanix: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from airflow_provider.leanix import operators

    seen: dict[str, float] = {}
    monkeypatch.setattr(operators, "gauge", lambda name, value, tags: seen.update({name: value}))
    TaskRunner().run(LeanIXRunOperator(task_id="run", **OUTBOUND))
    assert seen == {"leanix.run.processed": 65, "leanix.run.errors": 0, "leanix.run.warnings": 0}


def test_a_key_that_is_there_twice_is_refused_with_its_file(leanix: Any, sandbox: Any, tmp_path: Any) -> None:
    text = json.dumps(report())
    path = tmp_path / "report.json"
    path.write_text(text.replace('"processors"', '"processors": [], "processors"', 1))
    with pytest.raises(InputError, match=r"report\.json.*has the key 'processors' twice"):
        put(str(path))
    path.write_text(f'{{"a": [{{"b": 1, "b": 2}}], {text[1:]}')
    with pytest.raises(InputError, match="has the key 'b' twice"):
        put(str(path))
    assert not sandbox.counters.requests


def test_of_a_folder_only_configurations_are_read_and_the_log_names_the_rest(
    leanix: Any, tmp_path: Any, capsys: Any
) -> None:
    folder = tmp_path / "configurations"
    folder.mkdir()
    for version in ("1.1.0", "1.2.0"):
        (folder / f"{version}.json").write_text(json.dumps(report(connectorVersion=version)))
    (folder / "1.3.0.json.gz").write_bytes(
        gzip.compress(json.dumps(report(connectorVersion="1.3.0")).encode())
    )
    (folder / "README.md").write_text("# Configurations")
    (folder / "notes.txt").write_text("{")
    output = str(folder / "plan.json")
    for _ in range(2):  # The plan of the first task is in the folder when the second one reads it.
        operator = LeanIXPutConfigurationOperator(
            task_id="put", configuration=f"{folder}/", mode="plan", plan_output=output
        )
        assert TaskRunner().run(operator)["create"] == 3
    _, line = [one for one in capsys.readouterr().out.splitlines() if "left out" in one]
    assert all(name in line for name in ("README.md", "notes.txt", "plan.html", "plan.json"))
    with pytest.raises(InputError, match="is a plan; give its path as 'plan'"):
        put(output)


def test_the_hook_refuses_secrets_that_are_masked(leanix: Any, sandbox: Any) -> None:
    with LeanIXHook() as hook, pytest.raises(InputError, match="credentials.apiToken.*is masked"):
        hook.put_configuration(report(credentials={"apiToken": "***"}))
    assert not sandbox.counters.total("PUT")


def test_a_field_of_the_stored_configuration_adds_no_line_to_the_log(leanix: Any, capsys: Any) -> None:
    wanted = report()
    evil = "x\n2026 INFO stored\u202e ::group::x"
    leanix.configurations[configuration_key(wanted)] = {**wanted, evil: evil, "variables": {"a": evil}}
    put(wanted)
    logged = capsys.readouterr().out
    assert "2026 INFO stored" in logged, "the difference is not shown: the test proves nothing"
    assert "\n2026 INFO" not in logged
    assert "\u202e" not in logged
    assert "::group::" not in logged
