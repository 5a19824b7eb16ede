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
