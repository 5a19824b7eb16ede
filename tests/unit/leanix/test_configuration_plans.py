"""Processor configurations as code: planned, reviewed, applied exactly, and without a secret anywhere."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from airflow_provider.errors import InputError, PlanRejectedError, RequestRejectedError
from airflow_provider.leanix.as_code.plan import Plan, is_stored
from airflow_provider.leanix.operators import LeanIXPutConfigurationOperator
from airflow_provider.leanix.secret_mask import SecretMask, placeholders
from airflow_provider.sandbox.leanix.seed import configuration_key
from tests.support.budgets import forget_tokens
from tests.support.task_runner import TaskRunner

from .test_configurations import report
from .test_strict_service import EXPORT

TOKEN = "very/secret+token %&"
OTHER = "another=secret/42?"
PARAMETERS = ("code", "key", "subscription-key", "auth", "sig", "api_key", "x-functions-key", "access_token")
NAMES = (
    *("pass", "dbPass", "passphrase", "encryptionKey", "functionKey", "bearer", "jwt", "api key", "API.KEY"),
    *(
        "X-Api-Key",
        "apikey",
        "access-key-id",
        "subscriptionKeys",
        "hostkey",
        "ssh_key",
        "sasUrl",
    ),
)


def put(configuration: Any = None, **arguments: Any) -> dict[str, Any]:
    task = LeanIXPutConfigurationOperator(task_id="put", configuration=configuration, **arguments)
    found: dict[str, Any] = TaskRunner().run(task)
    return found


@pytest.fixture
def plan(tmp_path: Path) -> str:
    return str(tmp_path / "plan.json")


def stored(leanix: Any, configuration: dict[str, Any]) -> Any:
    return leanix.configurations.get(configuration_key(configuration))


def test_a_plan_writes_nothing_but_its_files(leanix: Any, sandbox: Any, plan: str) -> None:
    wanted = report(sequentialExecution=True, variables={"site": {"default": "<north>"}})
    result = put(wanted, mode="plan", plan_output=plan)
    assert result == {
        "configuration": ["report", "landscape", "1.0.0", "outbound", "partial"],
        "changed": True,
        "differences": ["~ sequentialExecution", "+ variables"],
        "plan": plan,
    }
    assert sandbox.counters.total("PUT") == 0
    document = json.loads(Path(plan).read_text())
    assert document["counts"] == {"create": 0, "update": 1, "unchanged": 0}
    assert document["entries"][0]["changes"] == [
        {"sign": "~", "path": "sequentialExecution", "old": False, "new": True},
        {"sign": "+", "path": "variables", "old": None, "new": {"site": {"default": "<north>"}}},
    ]
    page = Path(plan).with_suffix(".html").read_text()
    assert "sequentialExecution" in page
    assert "&lt;north&gt;" in page


def test_exactly_the_plan_is_applied(leanix: Any, sandbox: Any, plan: str) -> None:
    wanted = report(sequentialExecution=True)
    put(wanted, mode="plan", plan_output=plan)
    assert put(plan=plan)["differences"] == ["~ sequentialExecution"]
    assert stored(leanix, wanted) == wanted
    assert put(plan=plan)["changed"] is False
    assert sandbox.counters.total("PUT") == 1


@pytest.mark.parametrize("change", ["changed", "gone"])
def test_a_plan_is_rejected_when_a_stored_configuration_has_changed_since(
    leanix: Any, sandbox: Any, plan: str, change: str
) -> None:
    put([report(sequentialExecution=True), EXPORT], mode="plan", plan_output=plan)
    if change == "gone":
        del leanix.configurations[configuration_key(report())]
    else:
        stored(leanix, report())["variables"] = {"by": "hand"}
    with pytest.raises(PlanRejectedError, match=r"report/landscape/.* (was changed|is gone)"):
        put(plan=plan)
    assert sandbox.counters.total("PUT") == 0


def test_a_plan_that_changes_nothing_is_rejected_too_when_there_is_a_change(leanix: Any, plan: str) -> None:
    assert put(report(), mode="plan", plan_output=plan)["changed"] is False
    stored(leanix, report())["sequentialExecution"] = True
    with pytest.raises(PlanRejectedError, match="was changed"):
        put(plan=plan)


def test_a_plan_for_another_server_or_an_altered_one_is_rejected(
    leanix: Any, sandbox: Any, plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(report(sequentialExecution=True), mode="plan", plan_output=plan)
    text = Path(plan).read_text()
    Path(plan).write_text(text.replace("landscape", "landscapes"))
    with pytest.raises(PlanRejectedError, match="was altered"):
        put(plan=plan)
    Path(plan).write_text("{}")
    with pytest.raises(InputError, match="is not a plan of this version"):
        put(plan=plan)
    Path(plan).write_text(text)
    connection = json.loads(sandbox.connections["leanix_default"])
    other = {**connection, "host": "https://other.leanix.net"}
    monkeypatch.setenv("AIRFLOW_CONN_LEANIX_DEFAULT", json.dumps(other))
    with pytest.raises(PlanRejectedError, match=r"not for https://other.leanix.net"):
        put(plan=plan)
    assert sandbox.counters.total("PUT") == 0


def test_a_plan_for_another_workspace_of_the_server_is_rejected(
    leanix: Any, sandbox: Any, plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(EXPORT, mode="plan", plan_output=plan)
    connection = json.loads(sandbox.connections["leanix_default"])
    extra = {**connection["extra"], "workspace_id": "1b0f7f5e-0000-4000-8000-000000000000"}
    monkeypatch.setenv("AIRFLOW_CONN_LEANIX_DEFAULT", json.dumps({**connection, "extra": extra}))
    leanix.token_claims = False
    forget_tokens()
    with pytest.raises(PlanRejectedError, match="is for workspace 9a1c5f0e"):
        put(plan=plan)
    assert sandbox.counters.total("PUT") == 0


def test_secrets_are_in_no_plan_and_are_given_when_it_is_applied(
    leanix: Any, plan: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: Any
) -> None:
    stored(leanix, report())["credentials"] = {"apiToken": OTHER}
    wanted = report(
        credentials={"apiToken": TOKEN, "useTechnicalUser": False},
        dataConsumer={
            "type": "azureStorage",
            "connectionString": f"AccountKey={OTHER}",
            "containerName": "a",
        },
        variables={"link": {"default": f"https://x/?a={quote(TOKEN, safe='')}&b=1"}},
    )
    result = put(wanted, mode="plan", plan_output=plan)
    with pytest.raises(InputError, match="the plan has no secrets"):
        put(plan=plan)
    with pytest.raises(PlanRejectedError, match="is another one than planned"):
        put({**wanted, "credentials": {"apiToken": OTHER}}, plan=plan)
    with pytest.raises(PlanRejectedError) as caught:
        put(report(connectorId="other"), plan=plan)
    name = "report/{}/1.0.0/outbound/partial"
    assert f"{name.format('landscape')} is not given; {name.format('other')} is not in the plan" in str(
        caught.value
    )
    assert put(wanted, plan=plan)["changed"]
    assert stored(leanix, wanted) == wanted
    texts = [repr(result), caplog.text, *capsys.readouterr(), *(f.read_text() for f in tmp_path.iterdir())]
    assert "b=1" in texts[4] + texts[5]
    for text in texts:
        for secret in (TOKEN, OTHER):
            assert secret not in text
            assert quote(secret, safe="") not in text
            assert json.dumps(secret)[1:-1] not in text


@pytest.mark.parametrize(
    "value",
    [
        {"credentials": {"technicalUserId": "s3cr3t"}},
        {"variables": {"apiKey": {"default": "s3cr3t"}}},
        {"variables": {"client_secret": ["s3cr3t", {"x": "s3cr3t"}]}},
        {"headers": [{"key": "Authorization", "value": "s3cr3t"}]},
        {"headers": [{"name": "x-token", "value": 53712345}]},
        {"a": {"password": "s3cr3t"}, "b": "before s3cr3t after"},
        {"url": "https://user:s3cr3t@host/path"},
        {"url": "https://host/?sig=s3cr3t"},
        {"x": "DefaultEndpointsProtocol=https;AccountKey=s3cr3t;EndpointSuffix=y"},
        {"x": "LXT_s3cr3t"},
        {"x": "Bearer s3cr3t-s3cr3t"},
        *({"url": f"https://host/f?a=1&{name}=s3cr3t&b=2"} for name in PARAMETERS),
        {"url": "https://host/f?code=s3cr3t"},
        {"headerName": "x-api-key", "headerValue": "s3cr3t"},
        {"name": "Ocp-Apim-Subscription-Key", "value": "s3cr3t"},
        {"key": "Cookie", "values": ["a=s3cr3t"]},
        {"header": "X-Functions-Key", "value": "s3cr3t"},
        *({"x": {name: "s3cr3t"}} for name in NAMES),
        {"pem": "-----BEGIN PRIVATE KEY-----\nMIIs3cr3t\n-----END PRIVATE KEY-----"},
        {"x": "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIs3cr3t\n"},
        {"note": "user: a, password: s3cr3t; then"},
        {"note": 'set api key="s3cr3t s3cr3t" there'},
        {"script": "connect({clientSecret: 's3cr3t'})"},
        {"x": "eyJhbGciOiJIUzI1NiJ9.s3cr3t.s3cr3t"},
    ],
)
def test_secrets_are_masked_by_name_and_by_value(value: Any) -> None:
    text = json.dumps(SecretMask(value).value(value))
    assert "s3cr3t" not in text
    assert "53712345" not in text
    assert "***" in text


def test_values_that_are_no_secrets_are_shown() -> None:
    value = {
        "credentials": {"useTechnicalUser": True},
        "connectorId": "a",
        "processors": [{"run": 0}],
        "x": None,
        "scope": {"facetFilters": [{"facetKey": "FactSheetTypes", "keys": ["Application"]}]},
        "output": [{"key": {"expr": "name"}, "value": "a"}, {"key": "externalKey", "value": "bypass"}],
        "condition": "${data.apiKey == 'x' && monkey != 1}",
        "url": "https://host/path?keys=1&codes=2&page=3",
        "note": "the key: it opens; code: 5; monkey=7",
        "primaryKey": "id",
        "bypass": "yes",
        "header": {"x": "apiToken=${variables.apiToken}"},
    }
    assert SecretMask(value).value(value) == value
    assert placeholders(value) == []


def test_a_secret_that_the_service_masks_is_stored_each_time(leanix: Any, sandbox: Any, plan: str) -> None:
    leanix.masks_secrets = True
    put(report(credentials={"apiToken": OTHER}))
    wanted = report(credentials={"apiToken": TOKEN})
    put(wanted, mode="plan", plan_output=plan)
    for _ in range(2):
        assert put(wanted, plan=plan)["changed"]
        assert stored(leanix, wanted) == wanted
    assert sandbox.counters.total("PUT") == 3


@pytest.mark.parametrize("text", ["hidden", "masked", "<redacted>", "xxx", "xxx-1", "***", "****1234"])
def test_only_secrets_count_as_masked(leanix: Any, plan: str, text: str) -> None:
    stored(leanix, report())["variables"] = {"visibility": {"default": text}}
    wanted = report(variables={"visibility": {"default": "shown"}})
    put(wanted, mode="plan", plan_output=plan)
    assert put(wanted, plan=plan)["changed"]
    assert stored(leanix, wanted) == wanted


@pytest.mark.parametrize("text", ["hidden", "xxx-1", "***"])
def test_a_change_to_a_text_like_a_mask_is_a_change(leanix: Any, plan: str, text: str) -> None:
    stored(leanix, report())["description"] = "a"
    put(report(description="b"), mode="plan", plan_output=plan)
    stored(leanix, report())["description"] = text
    with pytest.raises(PlanRejectedError, match="was changed"):
        put(plan=plan)
    assert stored(leanix, report())["description"] == text


def test_the_result_counts_what_was_written(leanix: Any, sandbox: Any, plan: str) -> None:
    ones = [report(sequentialExecution=True), EXPORT, report(connectorVersion="2.0.0")]
    put(ones, mode="plan", plan_output=plan)
    sandbox.faults.add("status", status=422, method="PUT", path="/configurations", after=1)
    with pytest.raises(RequestRejectedError):
        put(plan=plan)
    result = put(plan=plan)
    assert (result["create"], result["update"], result["unchanged"]) == (2, 0, 1)
    assert len(result["configurations"]) == 2
    result = put(plan=plan)
    assert (result["create"], result["update"], result["unchanged"]) == (0, 0, 3)
    assert result["configurations"] == []


@pytest.mark.parametrize("mask", ["***", "•••", "****1234", "xxxx", "<redacted>", "[masked]", "hidden"])
@pytest.mark.parametrize(
    ("fields", "named"),
    [
        (lambda mask: {"credentials": {"apiToken": mask}}, "credentials.apiToken"),
        (
            lambda mask: {"headers": [{"key": "Accept"}, {"key": "Authorization", "value": mask}]},
            r"headers\[1\].value",
        ),
    ],
)
def test_a_masked_secret_is_refused_before_the_first_write(
    leanix: Any, sandbox: Any, plan: str, mask: str, fields: Any, named: str
) -> None:
    stored(leanix, report())["credentials"] = {"apiToken": TOKEN}
    for arguments in ({}, {"mode": "plan", "plan_output": plan}):
        with pytest.raises(InputError, match=f"{named} of report/landscape/.* is masked"):
            put([EXPORT, report(**fields(mask))], **arguments)
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize(
    "text", ["https://***@host/x", "https://host/?sig=***&a=1", "AccountKey=***;a=b", "Bearer ***"]
)
def test_a_text_with_a_mask_for_its_secret_is_refused(leanix: Any, text: str) -> None:
    with pytest.raises(InputError, match=r"variables\.x of report/.* is masked"):
        put(report(variables={"x": text}))


def test_masks_that_hide_no_secret_are_stored(leanix: Any) -> None:
    wanted = report(
        variables={"x": "a *** b", "y": "hidden", "z": "***"}, credentials={"apiToken": "a-xxx-b-1"}
    )
    assert put(wanted)["changed"]
    assert stored(leanix, wanted) == wanted


def test_a_refusal_that_quotes_a_secret_is_redacted(leanix: Any, sandbox: Any, capsys: Any) -> None:
    body = json.dumps({"errors": [f"The token {TOKEN} is unknown"]})
    sandbox.faults.add("status", status=422, body=body, method="PUT", path="/configurations", times=None)
    with pytest.raises(RequestRejectedError, match="is unknown") as caught:
        put(report(credentials={"apiToken": TOKEN}))
    assert "secret" not in f"{caught.value} {vars(caught.value)} {capsys.readouterr()}"


def in_list(_: Path, ones: list[dict[str, Any]]) -> Any:
    return ones


def in_folder(folder: Path, ones: list[dict[str, Any]]) -> Any:
    (folder / "code" / "deep").mkdir(parents=True)
    (folder / "code" / "a.json").write_text(json.dumps(ones[0]))
    (folder / "code" / "deep" / "b.json").write_text(json.dumps(ones[1:]))
    return f"{folder}/code/"


def in_files(folder: Path, ones: list[dict[str, Any]]) -> Any:
    in_folder(folder, ones)
    return [str(folder / "code" / "a.json"), f"{folder}/code/deep/*.json"]


@pytest.mark.parametrize("source", [in_list, in_folder, in_files])
def test_several_configurations_are_stored_by_one_task(
    leanix: Any, sandbox: Any, tmp_path: Path, plan: str, source: Any
) -> None:
    ones = [report(sequentialExecution=True), EXPORT, report(connectorVersion="2.0.0")]
    found = source(tmp_path, [*ones, leanix.configurations["cmdb", "campus", "1.0.0", "inbound", "full"]])
    before = sandbox.counters.total("GET")
    result = put(found, plan_output=plan)
    assert (result["create"], result["update"], result["unchanged"], result["plan"]) == (2, 1, 1, plan)
    assert sorted(one["configuration"][2] for one in result["configurations"]) == ["1.0.0", "1.0.0", "2.0.0"]
    assert all(stored(leanix, one) == one for one in ones)
    assert (sandbox.counters.total("GET") - before, sandbox.counters.total("PUT")) == (1, 3)


def test_all_problems_of_several_configurations_are_named_at_once(
    leanix: Any, sandbox: Any, tmp_path: Path
) -> None:
    (tmp_path / "a.json").write_text(json.dumps([report(), {"connectorId": "x"}]))
    (tmp_path / "b.json").write_text("{")
    (tmp_path / "c.json").write_text(json.dumps(report()))
    with pytest.raises(InputError) as caught:
        put(f"{tmp_path}/")
    text = str(caught.value)
    assert "a.json'[2]: field 'connectorType' is missing" in text
    assert "b.json': is not JSON" in text
    assert "c.json' has the key of configuration" in text
    assert sandbox.counters.total() == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "give 'configuration', or the path of a plan"),
        ({"configuration": []}, "has no configuration"),
        ({"configuration": report(), "mode": "dry"}, "mode"),
        ({"configuration": report(), "plan_output": " "}, "plan_output"),
        ({"configuration": report(), "plan": ""}, "plan"),
        ({"configuration": report(), "plan": "None"}, "'plan' is the text 'None'"),
        ({"configuration": report(), "plan": " None "}, "'plan' is the text 'None'"),
        ({"plan": "None"}, "'plan' is the text 'None'"),
        ({"configuration": [report(), 5]}, "must be a JSON object, not int"),
        ({"plan": "/no/such/plan.json"}, "there is no file"),
    ],
)
def test_arguments_that_cannot_be_meant_are_refused(
    leanix: Any, sandbox: Any, arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(InputError, match=said):
        put(**arguments)
    assert sandbox.counters.total() == 0


def test_the_mode_is_stored_in_any_case_and_partial_by_default(leanix: Any, sandbox: Any) -> None:
    wanted = report()
    del stored(leanix, wanted)["processingMode"]
    put({**wanted, "processingMode": "PARTIAL"}, mode="plan")
    assert put({**wanted, "processingMode": "PARTIAL"}, mode="plan")["differences"] == ["+ processingMode"]


def test_all_arguments_are_templated() -> None:
    wanted = {"configuration", "mode", "plan_output", "plan"}
    assert wanted <= {*LeanIXPutConfigurationOperator.template_fields}


def test_a_masked_secret_may_be_any_and_hides_no_other_difference() -> None:
    wanted = report(credentials={"apiToken": TOKEN}, sequentialExecution=True)
    masked = {**wanted, "credentials": {"apiToken": "***"}}
    assert is_stored(wanted, masked, as_far_as_shown=True)
    assert not is_stored(wanted, masked)
    assert not is_stored(wanted, {**masked, "sequentialExecution": False}, as_far_as_shown=True)
    assert not is_stored(wanted, None, as_far_as_shown=True)


def test_the_hash_of_a_configuration_depends_on_no_order_but_on_the_plan() -> None:
    plan, wanted = Plan("leanix"), report(a=1, b=2)
    assert plan.hash_of(wanted) == plan.hash_of(dict(reversed(wanted.items())))
    assert plan.hash_of(wanted) != plan.hash_of(report(a=1, b=3))
    assert plan.hash_of(wanted) != Plan("leanix").hash_of(wanted)
