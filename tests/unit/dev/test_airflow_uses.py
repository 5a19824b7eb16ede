"""Tests that use Airflow themselves, as the run on the oldest pair of versions finds them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.airflow_uses import uses_airflow

MODULE = """
import pytest
from airflow.sdk import DAG as Dag
from tests.support.wait import until

CODE = "from airflow.sdk import Asset"

def make():
    return Dag("a")

@pytest.fixture
def made():
    return make()

def test_by_a_helper(): assert make()
def test_by_a_fixture(made): pass
@pytest.mark.usefixtures("made")
def test_by_the_name_of_a_fixture(): pass
def test_by_an_import(): from airflow.models import Variable
def test_by_a_text(): run(CODE)
@pytest.mark.parametrize("dag", [Dag("b")])
def test_by_a_case(dag): pass
def test_of_none(tmp_path): until(lambda: True)

class TestAll:
    def test_one(self): assert Dag
class TestNone:
    def test_one(self): pass
"""


@pytest.mark.parametrize(
    ("name", "uses"),
    [
        ("test_by_a_helper", True),
        ("test_by_a_fixture", True),
        ("test_by_the_name_of_a_fixture", True),
        ("test_by_an_import", True),
        ("test_by_a_text", True),
        ("test_by_a_case", True),
        ("test_of_none", False),
        ("TestAll", True),
        ("TestNone", False),
        ("test_of_a_base_class_elsewhere", True),
    ],
)
def test_a_test_uses_airflow_by_itself_or_by_what_it_refers_to(tmp_path: Path, name: str, uses: bool) -> None:
    module = tmp_path / "test_module.py"
    module.write_text(MODULE)
    assert uses_airflow(module, name) is uses


def test_a_fixture_that_all_tests_use_counts_for_each(tmp_path: Path) -> None:
    module = tmp_path / "test_module.py"
    module.write_text(MODULE.replace("@pytest.fixture\n", "@pytest.fixture(autouse=True)\n"))
    assert uses_airflow(module, "test_of_none")
