from __future__ import annotations

import pytest

from airflow_provider import errors
from airflow_provider.core import trigger_events
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
        (errors.PartialWriteError(MANY[:1], {"update": 3}), "1 failure (update 3):"),
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


def test_an_event_has_type_arguments_and_details_of_its_error() -> None:
    assert error_event(errors.NotFoundError(404, "c", "m", request="GET /x")) == {
        "status": "error",
        "type": "NotFoundError",
        "args": [404, "c", "m"],
        "request": "GET /x",
        "retry_after": None,
    }
    assert error_event(errors.InputError(["a", "b"], "s"))["total"] == 2
    assert "total" not in error_event(errors.TransportError("t"))
    unexpected = {"status": "error", "type": "ProviderError", "args": ["KeyError: 'k'"]}
    assert error_event(KeyError("k")) == unexpected
    limited = error_event(errors.RateLimitedError(429, "c", "m", retry_after=9.0, request="x" * 5000))
    assert (limited["retry_after"], len(limited["request"])) == (9.0, errors.MAX_LINE)
    assert error_event(errors.PartialWriteError(["a", "b", "c"]))["total"] == 3
    assert error_event(errors.VerificationError(["a"]))["total"] == 1


@pytest.mark.parametrize("status", ["done", "timeout", None])
def test_other_events_raise_nothing(status: str | None) -> None:
    raise_for({"status": status, "type": "ProviderError"})
    with pytest.raises(errors.ProviderError):
        raise_for({"status": "error"})


def test_the_total_is_that_of_the_event_or_of_the_items_it_carries() -> None:
    for total, expected in ((7, 7), (1, 2), (None, 2)):
        with pytest.raises(errors.InputError) as caught:
            raise_for({"status": "error", "type": "InputError", "args": [["a", "b"]], "total": total})
        assert caught.value.total == expected


def test_small_arguments_are_whole_and_the_long_ones_share_the_rest() -> None:
    found = trigger_events._small(["x" * 5000, "short", 7, ["é" * 100] * 50])
    assert found[1:3] == ["short", 7]
    assert sum(trigger_events._size(value) for value in found) <= trigger_events._MAX_BYTES + 8
    assert trigger_events._small(["x" * 2998]) == ["x" * 2998]
    cut = trigger_events._small(["x" * 2999])[0]
    assert (len(cut) < 2999, cut[-1]) == (True, "…")
    assert trigger_events._fitting(["a", "b"], trigger_events._size(["a", "b"])) == ["a", "b"]
    assert trigger_events._fitting(["a", "b"], trigger_events._size(["a", "b"]) - 1) == ["a"]
    assert trigger_events._fitting("abcdef", 1) == ""


@pytest.mark.parametrize(
    ("text", "room", "fits"),
    [
        ("abcdefgh", 10, "abcdefgh"),
        ("abcdefgh", 9, "abcd…"),
        ("abcdefgh", 7, "ab…"),
        ("abcdefgh", 6, "a…"),
        ("abcdefgh", 5, "…"),
        *(("abcdefgh", room, "") for room in range(5)),
        ("", 2, ""),
        ("", 0, ""),
        ("a", 3, "a"),
        ("a", 2, ""),
        ("\x01", 8, "\x01"),
        *(("\x01", room, "") for room in range(8)),
        ("a" * 100, 102, "a" * 100),
        ("a" * 100, 50, "a" * 43 + "…"),
        ("é" * 100, 50, "é" * 21 + "…"),
    ],
)
def test_a_text_is_cut_to_the_bytes_that_are_left(text: str, room: int, fits: str) -> None:
    found = trigger_events._fitting(text, room)
    assert found == fits
    assert trigger_events._size(found) <= max(room, 2)


def test_an_error_that_leaves_a_few_bytes_for_a_text_reaches_the_task() -> None:
    for length in range(2985, 3000):
        found = trigger_events._small(["r" * length, "w" * 2999])
        assert found[0][:2900] == "r" * 2900
        assert sum(trigger_events._size(value) for value in found) <= trigger_events._MAX_BYTES + 2
