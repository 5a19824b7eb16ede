from __future__ import annotations

import pytest

from airflow_provider import errors
from airflow_provider.core.trigger_events import error_event, raise_for


@pytest.mark.parametrize(
    "name", ["Iterable", "Mapping", "annotations", "__builtins__", "os.system", "", None]
)
def test_an_event_raises_errors_of_this_provider_only(name: str | None) -> None:
    with pytest.raises(errors.ProviderError, match="^said$") as caught:
        raise_for({"status": "error", "type": name, "args": ["said"]})
    assert type(caught.value) is errors.ProviderError


@pytest.mark.parametrize(
    "error",
    [
        errors.NotFoundError(404, "c", "m", request="GET https://x/y"),
        errors.RateLimitedError(429, "c", "m", retry_after=900.0),
        errors.ServerError(503, "c", "m", retry_after=900.0, request="GET https://x/y"),
        errors.RunFailedError("r", "FAILED", "why"),
        errors.InputError(["a", "b"], "subject"),
        errors.VerificationError(["a"]),
        errors.TransportError("t"),
    ],
)
def test_an_error_reaches_the_task_unchanged(error: errors.ProviderError) -> None:
    import msgspec

    event = msgspec.json.decode(msgspec.json.encode(error_event(error)))
    with pytest.raises(type(error)) as caught:
        raise_for(event)
    assert str(caught.value) == str(error)
    assert getattr(caught.value, "retry_after", None) == getattr(error, "retry_after", None)


LONG = "row 7 (R-12): field 'größe' is 'a\nb\x00' 🙂 " * 40_000
MANY = [f"row {number} (R-{number}): {LONG[:500]}" for number in range(5000)]


@pytest.mark.parametrize(
    ("error", "begins"),
    [
        (errors.InputError(MANY, LONG), "5000 problems in row 7"),
        (errors.InputError(LONG), "row 7"),
        (errors.PartialWriteError(MANY, {"update": 3}), "5000 failures (update 3):"),
        (errors.VerificationError(MANY), "5000 values are not as written:"),
        (errors.PlanRejectedError("\n".join(MANY)), "row 0"),
        (errors.RunFailedError("r", "FAILED", LONG), "run r ended as FAILED: row 7"),
        (errors.NotFoundError(404, LONG, LONG, request=f"GET {LONG}"), "GET row 7"),
        (errors.AmbiguousWriteError(LONG, LONG), "row 7"),
        (errors.TransportError(LONG), "row 7"),
        (errors.ProviderError(LONG), "row 7"),
        (ValueError(LONG), "ValueError: row 7"),
    ],
)
def test_no_error_and_no_event_is_above_4_kb(error: Exception, begins: str) -> None:
    import json

    event = error_event(error)
    with pytest.raises(errors.ProviderError) as caught:
        raise_for(json.loads(json.dumps(event)))
    shown = [
        str(caught.value),
        *([str(error), repr(error)] if isinstance(error, errors.ProviderError) else []),
    ]
    for text in [*shown, str(event), json.dumps(event, ensure_ascii=False)]:
        assert len(text.encode()) < 4096
    assert str(caught.value).startswith(begins)
    if isinstance(error, errors.ProviderError):
        assert type(caught.value) is type(error)
        assert getattr(caught.value, "total", None) == getattr(error, "total", None)


def test_a_shortened_list_says_how_many_are_not_shown() -> None:
    lines = str(errors.InputError(MANY, "the rows")).splitlines()
    shown = [line for line in lines if line.startswith("  - row")]
    assert 5 <= len(shown) <= 20
    assert lines[-1] == f"  - and {5000 - len(shown)} more"


@pytest.mark.parametrize("args", [None, 5, [1, 2, 3, 4, 5]])
def test_an_error_that_cannot_be_made_again_is_one_of_the_provider(args: object) -> None:
    with pytest.raises(errors.ProviderError, match="cannot read"):
        raise_for({"status": "error", "type": "TransportError", "args": args, "total": "many"})
