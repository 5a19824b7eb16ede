from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import pytest

from airflow_provider.core.files import manifest as module
from airflow_provider.core.files.atomic import AtomicFile
from airflow_provider.core.files.manifest import ProgressLog, log_manifest, manifest
from tests.support.fake_clock import set_in_module


def test_a_manifest_describes_the_file_without_its_rows(tmp_path: Path) -> None:
    with AtomicFile(str(tmp_path / "x")) as out:
        out.write(b"123")
    described = manifest(out, file_format="jsonl", rows=1, columns=["a"], requests=2, seconds=0.1)
    assert described == {
        "uri": str(tmp_path / "x"),
        "format": "jsonl",
        "rows": 1,
        "bytes": 3,
        "files": [{"uri": str(tmp_path / "x"), "rows": 1, "bytes": 3}],
        "columns": ["a"],
        "requests": 2,
        "seconds": 0.1,
    }


def test_an_export_is_logged_in_one_line() -> None:
    said: list[str] = []
    log = SimpleNamespace(info=lambda text, *values: said.append(text % values))
    made = {"uri": "s3://aws@twin/a.csv", "rows": 3, "bytes": 40, "requests": 2, "seconds": 1.25}
    assert log_manifest(made, log) is made  # type: ignore[arg-type]
    assert said == ["Exported 3 rows, 40 bytes, with 2 requests in 1.2 s: s3://aws@twin/a.csv"]


def test_progress_is_logged_every_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[str] = []
    log = SimpleNamespace(info=lambda text, *values: lines.append(text % values))
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    progress = ProgressLog(log)  # type: ignore[arg-type]
    now[0] += 9
    assert progress.update(50, 400) is None
    now[0] += 1
    assert progress.update(100, 400) == 10
    now[0] += 20
    assert progress.update(500) == 20
    assert lines == ["100 of 400 rows, 10 a second, 30 s to go", "500 rows, 20 a second"]


def test_progress_names_rate_total_and_the_seconds_to_go(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = [100.0]
    set_in_module(monkeypatch, "airflow_provider.core.files.manifest", "time", monotonic=lambda: now[0])
    caplog.set_level(logging.INFO)
    progress = ProgressLog(logging.getLogger("progress"))  # type: ignore[arg-type]
    now[0] = 109.9
    assert progress.update(50, 1000) is None
    now[0] = 110.0
    assert progress.update(100, 1000) == 10.0
    now[0] = 130.0
    assert progress.update(500) == 20.0
    now[0] = 140.0
    assert progress.update(500, 1000) == 0.0
    assert caplog.messages == [
        "100 of 1000 rows, 10 a second, 90 s to go",
        "500 rows, 20 a second",
        "500 of 1000 rows, 0 a second",
    ]
