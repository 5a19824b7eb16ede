"""The error of a refused request is one sentence, in whatever form the service says why."""

from __future__ import annotations

import json
import re

import pytest

from airflow_provider.sandbox.server import Sandbox
from tests.fault_matrix.faults import HOOKS, fresh
from tests.fault_matrix.methods import ROWS, call, prepare

SAID = {
    "mapsindoors": {"title": "It is wrong.", "errors": {"$[0].status": ["Not allowed."], "b": ["Too long."]}},
    "amigocloud": {"detail": "It is wrong."},
    "iotstudio": {"error": {"status": 404, "message": "It is wrong.", "details": {"a": "Too long."}}},
    "leanix": {"status": "ERROR", "message": "Failed.", "errors": ["It is wrong.", "Too long."]},
}
ODD = re.compile(r"[.!?…][;:,]|\.\.(?!\.)|(?<!\.)\. ?\(|: ;|\(\)|[:;] *$| [;,:]|; ;")
"""Punctuation that no sentence has."""


@pytest.mark.parametrize("body", [True, False], ids=["words", "no words"])
@pytest.mark.parametrize("status", [400, 403, 404, 500])
@pytest.mark.parametrize("vendor", HOOKS)
def test_the_error_of_each_method_is_a_sentence(
    sandbox: Sandbox, vendor: str, status: int, body: bool
) -> None:
    text = json.dumps(SAID[vendor]) if body else ""
    odd = {}
    for row in (row for row in ROWS if row.vendor == vendor):
        ready = prepare(sandbox, row)
        sandbox.faults.add("status", times=None, path="^(?!.*token)", status=status, body=text)
        result = call(row, ready)
        if ODD.search(str(result.error or "")):
            odd[row.method] = str(result.error)
    fresh(sandbox, vendor)
    assert odd == {}
