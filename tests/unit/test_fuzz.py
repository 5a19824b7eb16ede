"""Fuzz targets: kept inputs and a few hundred changed ones; ``make fuzz`` searches for more.

A kept input is named after what it showed: each one made its target raise another error than the provider's
own, or put a credential into an error, before it was mended.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from airflow_provider.errors import ProviderError
from tests.fault_matrix.faults import HOOKS
from tests.fuzz import replies
from tests.fuzz.mutations import damage, mutate_json
from tests.fuzz.recordings import ROWS, recordings
from tests.fuzz.target import SECRET, FaultError, Target, texts_of
from tests.fuzz.targets import TARGETS
from tests.fuzz.task_recordings import label_of, rows, task_recordings, watcher_label
from tests.support.every_watcher import WATCHERS
from tests.support.hypothesis_sizes import examples
from tests.support.task_runner import TaskRunner
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
    count = examples(MUTATIONS * (4 if target.holds_secrets else 1))
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


@pytest.mark.parametrize("vendor", HOOKS)
def test_every_task_and_watcher_is_fuzzed(vendor: str) -> None:
    fuzzed = {label for label in task_recordings() if label.startswith(f"{vendor}.")}
    watchers = {watcher_label(name) for name in WATCHERS if name.startswith(f"{vendor} ")}
    assert fuzzed == {label_of(vendor, row) for row in rows(vendor)} | watchers


@pytest.mark.parametrize("vendor", HOOKS)
def test_the_recorded_replies_of_a_task_are_read_without_an_error(vendor: str) -> None:
    first = {data.split(b" ")[0]: data for data in replies.examples(vendor, task_recordings)}
    raised = {
        label: found for label, data in first.items() if (found := TARGETS[f"tasks_{vendor}"].check(data))
    }
    assert raised == {}
    assert len(first) > 5


def test_a_failed_task_that_leaves_its_file_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(_: Any, operator: Any) -> None:
        Path(operator.output_path).write_text("half of it")
        raise ProviderError("a problem")

    monkeypatch.setattr(TaskRunner, "run", run)
    data = next(one for one in TARGETS["tasks_iotstudio"].examples() if b"ExportThings" in one)
    with pytest.raises(FaultError, match="files-iotstudio.IoTStudioExportThingsOperator"):
        TARGETS["tasks_iotstudio"].check(data)


def test_an_error_that_a_watcher_logs_is_found() -> None:
    def run(_: bytes) -> None:
        try:
            {}["x"]
        except KeyError as error:
            logging.getLogger("airflow_provider").warning("poll failed: %s", error)

    with pytest.raises(FaultError, match="KeyError-logged-outside"):
        Target("logging", run, (), holds_secrets=True).check(b"x")


def test_a_fault_is_found() -> None:
    def run(data: bytes) -> None:
        {}[data]

    with pytest.raises(FaultError, match="KeyError-outside"):
        Target("broken", run, ()).check(b"x")


def test_a_secret_in_a_cause_is_found() -> None:
    def run(_: bytes) -> None:
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            raise ProviderError("a problem") from error

    with pytest.raises(FaultError, match="secret-in-ProviderError"):
        Target("leaking", run, (), holds_secrets=True).check(b"x")
    assert "a problem" in texts_of(ProviderError("a problem"))


def test_a_text_that_is_nested_as_deeply_as_can_be_read_is_changed_without_an_error() -> None:
    body = b"[" * 700 + b"1" + b"]" * 700
    changed = {mutate_json(b"[%s, 2]" % body, number) for number in range(200)}
    assert len(changed) > 50
