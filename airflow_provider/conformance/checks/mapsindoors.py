"""Checks of MapsIndoors that change nothing."""

from __future__ import annotations

from typing import Any

from airflow_provider.conformance.check import (
    ANY_STATUS,
    Answer,
    Check,
    Finder,
    Observed,
    OpenQuestionError,
    SkippedError,
    Step,
)
from airflow_provider.conformance.checks.shared import (
    Answers,
    Facts,
    choice_reader,
    lifetime_reader,
    limit_reader,
    retry_after_reader,
    rows_of,
    status_reader,
)

DESCRIPTION = Step("GET", "swagger/v1/swagger.json", login="none")
METADATA = Step("GET", ".well-known/openid-configuration", base="auth", login="none")
TOKEN = Step("POST", "connect/token", base="auth", login="token")
GEODATA = Step("GET", "{key}/api/geodata")
DATASET = Step("GET", "{key}/api/dataset")


def _operation(answer: Answer, method: str) -> dict[str, Any]:
    for path, item in answer.json()["paths"].items():
        if path.rstrip("/").endswith("/api/geodata") and method in item:
            return dict(item[method])
    raise OpenQuestionError(f"the description has no {method.upper()} of geodata")


def _described_status(method: str, *known: int) -> Any:
    def read(answers: Answers, _: Facts) -> Observed:
        described = _operation(answers[0], method)["responses"]
        found = sorted(int(code) for code in described if str(code).isdigit() and int(code) in known)
        if len(found) != 1:
            raise OpenQuestionError("the description names no single status of a success")
        return Observed(found[0], f"found {found[0]} in the description")

    return read


def _arrays(answers: Answers, _: Facts) -> str:
    for parameter in _operation(answers[0], "get").get("parameters", []):
        if parameter.get("name", "").lower() == "basetypes":
            explodes = parameter.get("explode", parameter.get("style", "form") == "form")
            return "repeated" if explodes else "comma"
    raise OpenQuestionError("the description does not name baseTypes")


def _grants(answers: Answers, _: Facts) -> bool:
    return "password" in answers[0].json()["grant_types_supported"]


def _capitals(answers: Answers, _: Facts) -> Observed:
    keys = {key for item in rows_of(answers[0]) for key in item.get("properties") or {}}
    if not keys:
        raise SkippedError("no object has properties")
    # The language's tag may have capitals: only the name before it is meant.
    found = sum(1 for key in keys if key.partition("@")[0] != key.partition("@")[0].lower())
    if found:
        return Observed(False, f"found {found} of {len(keys)} keys with capitals")
    return Observed(True, f"found none with capitals among {len(keys)} keys")


def _needs_token(answers: Answers, _: Facts) -> bool:
    return answers[0].status in {401, 403}


def _first_building(answer: Answer, _: Facts) -> str | None:
    rows = rows_of(answer)
    parents = {item.get("parentId") for item in rows}
    small = [item["id"] for item in rows if item["baseType"] == "building" and item["id"] in parents]
    return small[0] if small else None


def _root_is_included(answers: Answers, facts: Facts) -> bool:
    rows = rows_of(answers[0])
    if not rows:
        raise OpenQuestionError("the reply is empty")
    return any(item["id"] == facts["building"] for item in rows)


def _selects_two_types(answers: Answers, _: Facts) -> str:
    kinds = {item["baseType"] for item in rows_of(answers[0])}
    if not kinds <= {"venue", "building"} or not kinds:
        raise OpenQuestionError("the reply has other objects")
    return "repeated" if kinds == {"venue", "building"} else "comma"


def _error_style(answers: Answers, _: Facts) -> str:
    kind = answers[0].headers.get("content-type", "")
    if not answers[0].reply.body:
        raise OpenQuestionError("the reply has no body")
    return "problem" if "json" in kind else "text"


def _variables(answers: Answers, _: Facts) -> str:
    without, with_variable = (_without_trace(answer) for answer in answers)
    return "form" if without == with_variable else "query"


def _without_trace(answer: Answer) -> tuple[int, Any]:
    try:
        body = answer.json()
    except ValueError:
        return answer.status, answer.reply.body
    return answer.status, {**body, "traceId": ""} if isinstance(body, dict) else body


FINDERS = {"building": Finder(GEODATA, _first_building, "the solution has no building with floors")}

PUBLIC = (
    Check(
        "M1.post_code",
        "public",
        "Which status does a successful POST of geodata have?",
        (DESCRIPTION,),
        "post_status",
        200,
        "a POST of geodata answers 200",
        "mapsindoors/api.py",
        _described_status("post", 200, 201),
    ),
    Check(
        "M1.delete_code",
        "public",
        "Which status does a successful DELETE of geodata have?",
        (DESCRIPTION,),
        "delete_status",
        204,
        "a DELETE of geodata answers 204",
        "mapsindoors/api.py",
        _described_status("delete", 200, 204),
    ),
    Check(
        "M1.arrays",
        "public",
        "Are several base types written as repeated parameters?",
        (DESCRIPTION,),
        "array_style",
        "repeated",
        "several values of a parameter are repeated",
        "mapsindoors/api.py",
        choice_reader(_arrays, {"repeated": "repeated parameters", "comma": "values separated by commas"}),
    ),
    Check(
        "M2.password_grant",
        "public",
        "Does the token service accept a user's name and password?",
        (METADATA,),
        "password_grant",
        True,
        "the password grant is supported",
        "mapsindoors/api.py",
        choice_reader(_grants, {True: "it supported", False: "it missing"}),
    ),
)

READ = (
    Check(
        "M3.keys",
        "read",
        "Are keys of properties stored in lower case?",
        (GEODATA,),
        "lower_case_keys",
        True,
        "keys of properties are in lower case",
        "mapsindoors/geodata/diff.py",
        _capitals,
        danger=True,
    ),
    Check(
        "M3.token",
        "read",
        "Can geodata be read with the API key alone?",
        (Step("GET", "{key}/api/geodata", params={"baseTypes": "venue"}, login="none", accepts=ANY_STATUS),),
        "require_token",
        False,
        "geodata can be read without a token",
        "mapsindoors/hooks.py",
        choice_reader(_needs_token, {False: "it readable without a token", True: "a token required"}),
        refusal="compared",
    ),
    Check(
        "M3.root",
        "read",
        "Is the object that rootElements names among the objects of the reply?",
        (Step("GET", "{key}/api/geodata", params={"rootElements": "{building}"}),),
        "root_included",
        True,
        "a subtree includes its root",
        "mapsindoors/plan/desired.py",
        choice_reader(_root_is_included, {True: "the root included", False: "the root left out"}),
        danger=True,
    ),
    Check(
        "M3.arrays",
        "read",
        "Does the service understand repeated parameters?",
        (Step("GET", "{key}/api/geodata?baseTypes=venue&baseTypes=building"),),
        "array_style",
        "repeated",
        "several values of a parameter are repeated",
        "mapsindoors/api.py",
        choice_reader(_selects_two_types, {"repeated": "both values read", "comma": "one value read"}),
    ),
    Check(
        "M4.bad_key",
        "read",
        "Which status does a solution that does not exist have?",
        (Step("GET", "conformance000000000000/api/dataset", accepts=ANY_STATUS),),
        "unknown_solution_status",
        404,
        "an unknown solution is a 404",
        "mapsindoors/hooks.py",
        status_reader(400, 401, 403, 404),
        refusal="compared",
    ),
    Check(
        "M4.bad_token",
        "read",
        "Which status does a token have that is no longer accepted?",
        (Step("GET", "api/dataset", login="bad", accepts=ANY_STATUS),),
        "refused_token_status",
        401,
        "a refused token is a 401",
        "core/http/auth.py",
        status_reader(401, 403),
    ),
    Check(
        "M4.error_body",
        "read",
        "Are errors described in JSON?",
        (Step("GET", "conformance000000000000/api/dataset", accepts=ANY_STATUS),),
        "error_style",
        "problem",
        "errors are described in JSON",
        "mapsindoors/geodata/batches.py",
        choice_reader(_error_style, {"problem": "a description in JSON", "text": "plain text"}),
        refusal="compared",
    ),
    Check(
        "M4.lifetime",
        "read",
        "How long does an access token live?",
        (TOKEN,),
        "token_seconds",
        86_400.0,
        "a token lives for a day",
        "core/http/auth.py",
        lifetime_reader,
    ),
    Check(
        "M5.variables",
        "read",
        "Are variables of client secrets read from the query?",
        (
            Step("GET", "api/clientcredentials", base="auth", accepts=ANY_STATUS),
            Step(
                "GET",
                "api/clientcredentials",
                base="auth",
                params={"customerId": "conformance"},
                accepts=ANY_STATUS,
            ),
        ),
        "secret_variables",
        "query",
        "variables of client secrets are in the query",
        "mapsindoors/api.py",
        choice_reader(_variables, {"query": "the query read", "form": "the query ignored"}),
    ),
)

_SERIES = (Step("GET", "{key}/api/dataset", times=15, burst=True, accepts=ANY_STATUS),)

BURST = (
    Check(
        "M8.rate",
        "read",
        "Are more than ten requests a second refused?",
        _SERIES,
        "requests_per_second",
        10.0,
        "at most 10 requests a second are accepted",
        "mapsindoors/hooks.py",
        limit_reader,
        opt_in=True,
    ),
    Check(
        "M8.retry_after",
        "read",
        "Does a refusal say when to send the request once more?",
        _SERIES,
        "retry_after",
        True,
        "a 429 has a Retry-After header",
        "core/http/retry.py",
        retry_after_reader,
        opt_in=True,
        moot={"requests_per_second": "no request is refused"},
    ),
)
