from __future__ import annotations

from tests.support.import_cost import measure, public_modules


def test_public_modules_are_light_to_import() -> None:
    costs = measure(*public_modules())
    assert [cost["module"] for cost in costs] == public_modules()
    assert {cost["module"]: cost["modules"] for cost in costs if cost["modules"] > 40} == {}
    assert {cost["module"]: cost["heavy"] for cost in costs if cost["heavy"]} == {}
