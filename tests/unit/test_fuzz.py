"""Fuzz targets: kept inputs and a few hundred changed ones; ``make fuzz`` searches for more.

A kept input is named after what it showed: each one made its target raise another error than the provider's
own, or put a credential into an error, before it was mended.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from tests.fault_matrix.faults import HOOKS
from tests.fuzz import replies
from tests.fuzz.mutations import damage
from tests.fuzz.recordings import ROWS, recordings
from tests.fuzz.target import FaultError, Target, texts_of
from tests.fuzz.targets import TARGETS
from tests.unit.test_twins import TESTED_ELSEWHERE, senders

pytestmark = pytest.mark.slow

MUTATIONS = 16
"""Changed inputs for each target besides replies, and for each vendor's replies four times as many."""

SEEDS = [(target, name) for target in TARGETS.values() for name in target.seeds()]


@pytest.fixture(autouse=True)
def _own_connections() -> Iterator[None]:
    replies.forget_all()
    yield
    replies.forget_all()


@pytest.mark.parametrize(("target", "name"), SEEDS, ids=[f"{target.name}-{name}" for target, name in SEEDS])
def test_a_kept_input_raises_nothing_but_errors_of_the_provider(target: Target, name: str) -> None:
    raised = target.check(target.seeds()[name])
    assert raised in {"", *(kind.__name__ for kind in subclasses(*target.allowed))}


def subclasses(*kinds: type[Exception]) -> Iterator[type[Exception]]:
    for kind in kinds:
        yield kind
        yield from subclasses(*kind.__subclasses__())


@pytest.mark.parametrize("target", TARGETS.values(), ids=TARGETS)
def test_changed_inputs_raise_nothing_but_errors_of_the_provider(target: Target) -> None:
    inputs = [*target.examples(), *target.seeds().values()]
    count = MUTATIONS * (4 if target.holds_secrets else 1)
    checked = 0
    for number in range(count):
        data = inputs[number * len(inputs) // count]
        mutated = target.mutate(data, number) if target.mutate else damage(data, Random(number))
        target.check(mutated)
        checked += 1
    assert checked == count


@pytest.mark.parametrize("vendor", HOOKS)
def test_every_method_that_reads_replies_is_fuzzed(vendor: str) -> None:
    fuzzed = {row.method for row in ROWS.values() if row.vendor == vendor}
    silent = {
        "diagnose",
        "cached_access_token",
        "forget_access_token",
    }  # They send nothing, or what probe does.
    assert senders(HOOKS[vendor]) - fuzzed - TESTED_ELSEWHERE - silent == set()


def test_a_recording_exists_for_each_method() -> None:
    assert recordings().keys() == ROWS.keys()


@pytest.mark.parametrize("vendor", HOOKS)
def test_a_recorded_reply_is_read_without_an_error(vendor: str) -> None:
    raised = {
        data[:60]: found
        for data in replies.examples(vendor)[::6]
        if (found := TARGETS[f"replies_{vendor}"].check(data))
    }
    assert raised == {}


def test_a_fault_is_found() -> None:
    def run(data: bytes) -> None:
        {}[data]

    with pytest.raises(FaultError, match="KeyError-outside"):
        Target("broken", run, ()).check(b"x")


def test_a_secret_in_a_cause_is_found() -> None:
    from airflow_provider.errors import ProviderError
    from tests.fuzz.target import SECRET

    def run(_: bytes) -> None:
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            raise ProviderError("a problem") from error

    with pytest.raises(FaultError, match="secret-in-ProviderError"):
        Target("leaking", run, (), holds_secrets=True).check(b"x")
    assert "a problem" in texts_of(ProviderError("a problem"))
