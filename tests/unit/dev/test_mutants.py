"""Mutants: what is changed, how a changed function is put in place, and what the report says of it."""

from __future__ import annotations

import gc
import textwrap
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dev.mutants import report
from dev.mutants.areas import AREAS, LEFT_OUT, ROOT, UNIT
from dev.mutants.operators import Mutant, mutants_of, sample
from dev.mutants.readers import imported_names, reads
from dev.mutants.recorder import ImportRecorder
from dev.mutants.report import BEGIN, END, score, write_page
from dev.mutants.results import KILLED, SURVIVED, Result, Results
from dev.mutants.session import AreaSession, Recording
from dev.mutants.swap import CannotSwapError, functions_of, swap

pytestmark = pytest.mark.slow


def changes(source: str) -> list[str]:
    return [mutant.change for mutant in mutants_of("a.py", textwrap.dedent(source))]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("return a < b", ["return a < b -> return None", "a < b -> (a <= b)"]),
        ("if a: b()", ["a -> (not a)", "b() -> pass"]),
        (
            "return a and not b",
            ["return a and not b -> return None", "a and not b -> (a or not b)", "not b -> (b)"],
        ),
        ("a.b = c + 1", ["a.b = c + 1 -> pass", "c + 1 -> (c - 1)", "1 -> 2"]),
        ("a += b", ["a += b -> a -= b", "a += b -> a = b"]),
        ("a = True", ["True -> False"]),
        ("a = b if c else d", ["b if c else d -> (b)", "b if c else d -> (d)"]),
        ("b = min(a, key=c)", ["min(a, key=c) -> (max(a, key=c))", "min(a, key=c) -> (min(a))"]),
        ("a = 'key'", ["'key' -> 'XXkeyXX'"]),
        ("a = f'{b}/c'", ["f'{b}/c' -> (f'XX{b}/c')"]),
        ("raise ValueError('key')", ["raise ValueError('key') -> pass"]),
        ("for a in b: continue", ["continue -> break"]),
        ("while a in b: break", ["a in b -> (a not in b)", "break -> pass"]),
    ],
)
def test_a_line_is_changed_in_each_small_way(line: str, expected: list[str]) -> None:
    assert changes(f"def f(a, b, c, d):\n    {line}\n") == expected


@pytest.mark.parametrize(
    "line",
    [
        "log.info('Sent %d', 1, extra={'a': 1})",
        "self.log.warning('Sent', 1)",
        "assert a > 1",
        "a = 'a message with words'",
        "b = f'{a} is a message'",
        "raise NotImplementedError",
        "a: dict[Literal['b'], int]",
        "return None",
        "'A docstring'",
    ],
)
def test_messages_and_what_informs_people_or_types_stays(line: str) -> None:
    assert changes(f"def f(a):\n    {line}\n") == []


def test_code_that_runs_on_import_has_no_function_and_no_lines() -> None:
    source = "LIMIT = 5\n\nclass A:\n    size: int = 7\n\n    def f(self, a=2):\n        return 3\n"
    found = mutants_of("a.py", source)
    assert [(one.change, one.function, one.lines) for one in found] == [
        ("5 -> 6", "", ()),
        ("7 -> 8", "", ()),
        ("2 -> 3", "", ()),
        ("3 -> 4", "A.f", (7, 7)),
    ]
    assert found[3].apply(source) == source.replace("return 3", "return 4")


def test_lines_of_a_statement_with_a_body_are_those_of_its_head() -> None:
    (mutant,) = mutants_of("a.py", "def f(a):\n    if (\n        a\n    ):\n        b = a\n")
    assert mutant.lines == (2, 4)


def test_a_key_outlives_changes_of_other_functions_and_a_sample_is_repeatable() -> None:
    one = "def f(a):\n    return a + 1\n"
    before = mutants_of("a.py", f"def g():\n    return 2\n\n{one}")
    after = mutants_of("a.py", f"def g(b):\n    # no number\n    return b\n\n{one}")
    assert [mutant.key for mutant in after[-3:]] == [mutant.key for mutant in before[-3:]]
    assert len({mutant.key for mutant in before}) == len(before)
    assert list(sample(before, 2, "1")) == list(sample(before[::-1], 2, "1"))
    assert len(list(sample(before, 0, "1"))) == len(before)


SOURCE = """\
def outer(start):
    def inner(step):
        return start + step * 2
    return inner

class A:
    @property
    def size(self):
        return 5

made = outer(1)
"""


@pytest.fixture
def module(tmp_path: Path) -> Any:
    path = str(tmp_path / "a.py")
    found = ModuleType("a")
    exec(compile(SOURCE, path, "exec"), found.__dict__)
    found.__file__ = path
    return found


def living(module: Any) -> dict[Any, Any]:
    return functions_of([module.__file__])[module.__file__]


def mutant(change: str) -> Mutant:
    return next(one for one in mutants_of("a.py", SOURCE) if one.change == change)


def test_a_change_reaches_functions_that_others_hold_already(module: Any) -> None:
    held, item = module.outer, module.A()
    for change in ("2 -> 3", "5 -> 6"):
        one = mutant(change)
        swap(living(module), module.__file__, SOURCE, one.apply(SOURCE), one.function)
        if change == "2 -> 3":
            assert (held(1)(10), module.made(10), item.size) == (31, 31, 5)
    assert item.size == 6


def test_functions_that_garbage_collection_leaves_out_are_found(module: Any) -> None:
    gc.freeze()
    try:
        assert {name for name, _ in living(module)} == {"outer", "outer.<locals>.inner", "A.size"}
    finally:
        gc.unfreeze()


def test_a_change_of_variables_or_of_no_living_function_needs_an_import(module: Any) -> None:
    functions = living(module)
    without = SOURCE.replace("start + step", "step")
    with pytest.raises(CannotSwapError):
        swap(functions, module.__file__, SOURCE, without, "outer")
    with pytest.raises(CannotSwapError, match="no function other"):
        swap(functions, module.__file__, SOURCE, SOURCE, "other")


def test_tests_of_the_line_run_before_further_cases_of_the_same_test() -> None:
    (one, *_) = mutants_of("a.py", SOURCE)
    area = AreaSession.__new__(AreaSession)
    area.budget = 1.0
    seconds = {"t.py::a[1]": 0.2, "t.py::a[2]": 0.2, "t.py::b": 0.3, "t.py::c": 0.5, "t.py::d": 0.1}
    lines = {test: {str(ROOT / "a.py"): {one.lines[0]}} for test in seconds if test != "t.py::d"}
    area.recording = Recording(seconds, lines)
    assert area._tests(one) == ["t.py::a[1]", "t.py::b", "t.py::a[2]"]
    area.budget = 2.0
    assert area._tests(one)[-1] == "t.py::c"
    area.recording.failed["t.py::c"] = "fails"
    assert len(area._tests(one)) == 3


def test_a_test_that_compares_a_constant_reads_its_module_without_running_a_line(tmp_path: Path) -> None:
    file = tmp_path / "test_a.py"
    file.write_text("from b.c import d\nfrom b.c.a import LIMIT as most, f\nfrom b.c import a\nimport a\n")
    assert imported_names(file, "b.c.a") == {"most", "f", "a"}

    def reading(function: Any, module: str = "b.c.a") -> bool:
        return reads(SimpleNamespace(function=function, path=file), module)

    assert reading(lambda: a.LIMIT)  # type: ignore[name-defined]  # noqa: F821
    assert reading(lambda: [most for _ in "x"])  # type: ignore[name-defined]  # noqa: F821
    assert not reading(lambda: d)  # type: ignore[name-defined]  # noqa: F821
    assert reading(lambda: d, "b.c.d")  # type: ignore[name-defined]  # noqa: F821
    assert not reading(print)


def test_code_that_runs_on_import_only_has_the_tests_that_use_its_module() -> None:
    (one, *_), path = mutants_of("a.py", SOURCE), str(ROOT / "a.py")
    area = AreaSession.__new__(AreaSession)
    area.budget, area.imports = 1.0, ImportRecorder(str(ROOT))
    area.items = {"t.py::b": SimpleNamespace(function=print, path=Path(__file__))}  # type: ignore[dict-item]
    area.recording = Recording({"t.py::a": 0.2, "t.py::b": 0.1}, {"t.py::a": {path: {99}}, "t.py::b": {}})
    assert area._tests(one) == []
    area.imports.started.add((path, (one.function, 1)))
    assert area._tests(one) == ["t.py::a"]


def result(one: Mutant, status: str, version: str = "1") -> Result:
    return Result(
        "values", one.key, one.path, one.function, 1, one.change, status, "", "", 1, "swap", 0, version
    )


def test_killed_mutants_stand_and_survivors_until_the_tests_change(tmp_path: Path) -> None:
    first, second, third = mutants_of("a.py", SOURCE)[:3]
    results = Results(tmp_path / "new" / "results.jsonl")
    results.add(result(first, KILLED))
    results.add(result(second, SURVIVED))
    results.add_control("values", True)
    results.add(replace(result(third, SURVIVED), tests=0))
    read = Results(results.path)
    assert [read.stands(one.key, "1") for one in (first, second, third)] == [True, True, False]
    assert [read.stands(one.key, "2") for one in (first, second, third)] == [True, False, False]
    assert read.controls == {"values": [True]}


def test_a_page_has_the_scores_and_the_survivors_with_their_reasons(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mutants = mutants_of("a.py", SOURCE)
    monkeypatch.setattr(report, "area_mutants", lambda _: mutants)
    reason = {("a.py", mutants[0].function, mutants[0].change): "No difference."}
    monkeypatch.setattr(report, "reasons", lambda: reason)
    results = Results(tmp_path / "results.jsonl")
    results.add_sample("values", "1", 0, 42.9)
    results.add_sample("values", "1", 0, 71.4)
    for number, one in enumerate(mutants):
        results.add(result(one, SURVIVED if number < 2 else KILLED))
    results.add_sample("values", "2", 2, 0.0)
    found = score("values", results, 0, "1")
    assert (found.size, found.killed, len(found.survivors), found.not_run) == (
        len(mutants),
        len(mutants) - 2,
        2,
        0,
    )
    assert found.first == 42.9
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n{BEGIN}old\n{END}after\n")
    write_page(page, Results(results.path))
    text = page.read_text()
    assert "| values | 7 | 1 | 7 | 5 | 0 | 2 | 1 | 71.4 % | 43 % |" in text
    assert "| values | 7 | 2 | 2 |" in text
    assert text.count("No difference.") == text.count("**a gap**") == 1
    assert text.startswith("# Page\n")
    assert text.endswith("after\n")
    assert "old" not in text


def test_every_area_has_modules_and_tests_and_every_reason_a_mutant() -> None:
    for area in AREAS.values():
        assert area.sources()
        assert all((ROOT / path).exists() for path in area.test_paths())
    for path, _, function in (test.partition("::") for test in LEFT_OUT):
        assert f"def {function}(" in (ROOT / UNIT / path).read_text()
    reasons = report.reasons()
    known = {
        (one.path, one.function, one.change)
        for path in {path for path, _, _ in reasons}
        for one in mutants_of(path, (ROOT / path).read_text())
    }
    assert set(reasons) <= known
