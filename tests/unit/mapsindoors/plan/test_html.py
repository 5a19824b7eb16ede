"""Plan page: all changes, in one file without scripts."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG

from airflow_provider.mapsindoors.geodata.snapshot import SolutionSnapshot
from airflow_provider.mapsindoors.operators import MapsIndoorsSyncGeodataOperator
from airflow_provider.mapsindoors.plan.document import Change, Plan
from airflow_provider.mapsindoors.plan.html import render_page
from airflow_provider.sandbox.mapsindoors import MapsIndoorsService, seed
from tests.support.mapsindoors_sync import put, undecoded

RING = [[12.5704, 55.7804], [12.5706, 55.7804], [12.5706, 55.7805], [12.5704, 55.7805], [12.5704, 55.7804]]
ROWS: list[dict[str, Any]] = [
    {"externalId": "A-0-01", "name": "<b>Reception</b> & more"},
    {"externalId": "A-0-02", "geometry": {"type": "Polygon", "coordinates": [RING]}},
    *({"externalId": f"A-0-0{n}"} for n in range(3, 8)),
    {
        "externalId": "N-1",
        "baseType": "room",
        "name": "New room",
        "displayTypeId": "Office",
        "parentExternalId": "A-0",
        "geometry": {"type": "Polygon", "coordinates": [RING]},
    },
]


class Tags(HTMLParser):
    """Parser that collects tags, attributes and the classes of shapes."""

    def __init__(self) -> None:
        super().__init__()
        self.classes: list[str] = []
        self.tags: set[str] = set()
        self.names: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.names |= {name for name, _ in attrs}
        self.classes += [
            value or "" for name, value in attrs if name == "class" and tag in ("path", "circle")
        ]


def planned(service: MapsIndoorsService, folder: Path, rows: Any = ROWS, **options: Any) -> str:
    floor = next(one["id"] for one in service.campus.geodata.values() if one.get("externalId") == "A-0")
    MapsIndoorsSyncGeodataOperator(
        task_id="t",
        source=rows,
        scope={"base_types": ["room"], "root_element": floor},
        missing="deactivate",
        mode="plan",
        plan_output=str(folder / "plan.json"),
        **options,
    ).execute({})
    return (folder / "plan.html").read_text()


def test_every_kind_of_change_is_drawn_on_its_floor(service: MapsIndoorsService, tmp_path: Path) -> None:
    text = planned(service, tmp_path)
    found = Tags()
    found.feed(text)
    drawn = {kind: found.classes.count(kind) for kind in ("create", "update", "moved", "old", "deactivate")}
    assert drawn == {"create": 1, "update": 1, "moved": 1, "old": 1, "deactivate": 1}
    assert "Nordhøj Campus · Administration · floor 0" in text
    assert ">Office A0.01</span> → " in text
    assert ">&lt;b&gt;Reception&lt;/b&gt; &amp; more</span>" in text


def test_the_name_of_a_source_file_is_no_markup(service: MapsIndoorsService, tmp_path: Path) -> None:
    source = tmp_path / "rows"
    source.mkdir()
    (source / "<img src=x onerror=alert(1)>.csv").write_text("externalId,name\nA-0-01,Lobby\n")
    (source / "plain.csv").write_text("externalId,name\nA-0-02,Desk\n")
    text = planned(service, tmp_path, f"{source}/")
    found = Tags()
    found.feed(text)
    assert "img" not in found.tags
    assert "<td>&lt;img src=x onerror=alert(1)&gt;.csv:1</td>" in text


def test_the_page_needs_nothing_else_and_runs_nothing(service: MapsIndoorsService, tmp_path: Path) -> None:
    text = planned(service, tmp_path)
    found = Tags()
    found.feed(text)
    assert not found.tags & {"script", "link", "img", "iframe"}
    assert "<b>Reception" not in text
    assert not re.search(r"https?://|url\(", text)


def test_rows_left_out_are_listed(service: MapsIndoorsService, tmp_path: Path) -> None:
    rows = [*ROWS, {"externalId": "N-2", "baseType": "desk"}]
    assert "baseType &#x27;desk&#x27; is unknown" in planned(service, tmp_path, rows, on_row_error="skip")


def test_the_task_links_to_the_page(
    service: MapsIndoorsService, tmp_path: Path, run_dag: Callable[..., Any]
) -> None:
    with DAG("mapsindoors_plan", schedule=None) as dag:
        task = MapsIndoorsSyncGeodataOperator(
            task_id="plan", source=ROWS, mode="plan", plan_output=f"{tmp_path}/{{{{ dag.dag_id }}}}.json"
        )
    run = run_dag(dag)
    assert run.state == "success"
    (link,) = task.operator_extra_links
    assert link.name == "Plan"
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session

    with create_session() as session:
        stored = session.query(XComModel).filter_by(run_id=run.run_id, key=link.xcom_key).one()
        assert str(stored.value).strip('"').startswith("/digital-twin/plan?dag_id=mapsindoors_plan&run_id=")
    assert service.campus.geodata == seed.campus().geodata


def test_the_counts_are_on_top_and_each_change_on_the_map_leads_to_its_line(
    service: MapsIndoorsService, tmp_path: Path
) -> None:
    text = planned(service, tmp_path)
    words = {"create": "new", "moved": "moved", "update": "changed", "deactivate": "deactivated"}
    for kind, word in words.items():
        assert f'<div class="{kind}"><b>1</b>{word}</div>' in text
    linked = set(re.findall(r'href="#(change-\d+)"', text))
    assert linked == set(re.findall(r'<tr id="(change-\d+)"', text)) == {f"change-{n}" for n in range(1, 5)}


@pytest.mark.parametrize("where", ["name", "property key", "floor", "solution", "key"])
def test_no_text_of_a_source_becomes_markup(service: MapsIndoorsService, tmp_path: Path, where: str) -> None:
    evil = "\"><script>alert(1)</script><img src=x onerror=alert(1)>'</title></style>"
    rows: list[dict[str, Any]] = [dict(row) for row in ROWS]
    if where == "name":
        rows[0]["name"] = rows[-1]["name"] = evil
    if where == "property key":
        rows[0][f"{evil}@en"] = evil
    if where == "key":
        rows[-1]["externalId"] = evil
    if where == "solution":
        service.campus.dataset = {**service.campus.dataset, "name": evil}
    if where == "floor":
        floor = next(one for one in service.campus.geodata.values() if one.get("externalId") == "A-0")
        put(service, {**floor, "baseTypeProperties": {"name": evil, "administrativeid": evil}})
    text = planned(service, tmp_path, rows)
    found = Tags()
    found.feed(text)
    assert not found.tags & {"script", "img"}
    assert "&lt;script&gt;" in text


def test_the_table_speaks_of_people_and_places_not_of_ids(
    service: MapsIndoorsService, tmp_path: Path
) -> None:
    floors = {one["externalId"]: one["id"] for one in service.campus.geodata.values() if "externalId" in one}
    rows = [
        {"externalId": "A-0-01", "displayType": "Lab", "categories": ["FOOD"], "status": 2},
        {"externalId": "A-0-02", "parentExternalId": "A-1", "description": "x" * 5000},
        {**ROWS[-1], "categories": ["WORK"], "capacity": 4},
        {
            **ROWS[-1],
            "externalId": "N-2",
            "baseType": "poi",
            "parentExternalId": "N-1",
            "geometry": "POINT (12.5705 55.7805)",
        },
    ]
    path = tmp_path / "plan.json"
    MapsIndoorsSyncGeodataOperator(task_id="t", source=rows, mode="plan", plan_output=str(path)).execute({})
    text = re.sub(r"<[^>]+>", "", (tmp_path / "plan.html").read_text())
    said = ["display type: Office → Lab", "status: shown (3) → hidden (2)", "categories: WORK → FOOD"]
    said += ["place: Administration · floor 0 → Administration · floor 1", "x… (5000 characters)"]
    said += ["display type: Office", "categories: WORK", "capacity: 4", "place: below the new N-1"]
    assert [one for one in said if one not in text] == []
    assert not [key for key in floors.values() if key in text]


@pytest.mark.parametrize(
    ("shift", "words"),
    [(0.0, "changes its outline"), (0.001, "moves by 62.")],
)
def test_the_table_says_how_far_something_moves(
    service: MapsIndoorsService, tmp_path: Path, shift: float, words: str
) -> None:
    room = next(one for one in service.campus.geodata.values() if one.get("externalId") == "A-0-02")
    (ring,) = room["geometry"]["coordinates"]
    ring = [[x + shift, y] for x, y in [*ring[:1], ring[0], *ring[1:]]]
    rows = [{"externalId": "A-0-02", "geometry": {"type": "Polygon", "coordinates": [ring]}}]
    assert f'geometry: <span class="new-value">{words}' in planned(service, tmp_path, rows)


def test_no_label_covers_another_and_small_things_lie_on_top(
    service: MapsIndoorsService, tmp_path: Path
) -> None:
    ring = next(one for one in service.campus.geodata.values() if one.get("externalId") == "A-0-03")
    place = {"parentExternalId": "A-0", "baseType": "room", "displayTypeId": "Office"}
    rows = [
        {**place, "externalId": f"N-{n}", "name": f"Same place {n}", "geometry": ring["geometry"]}
        for n in range(6)
    ]
    x, y = ring["geometry"]["coordinates"][0][0]
    rows.append(
        {**place, "externalId": "N-P", "baseType": "poi", "name": "P", "geometry": f"POINT ({x} {y})"}
    )
    path = tmp_path / "plan.json"
    MapsIndoorsSyncGeodataOperator(task_id="t", source=rows, mode="plan", plan_output=str(path)).execute({})
    text = (tmp_path / "plan.html").read_text()
    labels = re.findall(r'<text class="changed" x="([\d.]+)" y="([\d.]+)">(.+?)</text>', text)
    named = [label for label in labels if "Same" in label[2]]
    assert len(named) == 4
    assert len({y for _, y, _ in named}) == 4
    assert text.rindex('<path class="create"') < text.index('<circle class="create"')


def _poisoned(value: Any) -> Any:
    """Add markup to every text, except fields that the page branches on."""
    evil = "\"'><script>alert(1)</script><img src=x onerror=alert(1)></text></svg>"
    if isinstance(value, dict):
        kept = {"baseType", "type", "status"}
        return {key: item if key in kept else _poisoned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_poisoned(item) for item in value]
    return f"{value}{evil}" if isinstance(value, str) else value


def test_no_text_of_map_or_plan_becomes_markup(service: MapsIndoorsService) -> None:
    objects = _poisoned(list(service.campus.geodata.values())[:60])
    dataset = _poisoned({"id": "d", "name": "N", "baseLanguage": "en"})
    for one in objects:
        one["properties"][f"name@{dataset['baseLanguage']}"] = one["id"]
    snapshot = SolutionSnapshot(dataset, undecoded(objects), scope={"root_element": objects[0]["id"]})
    changes = [
        Change(
            operation,
            key=one["id"],
            base_type=one["baseType"],
            id=one["id"],
            name=one["id"],
            fields=_poisoned({"properties.name@en": ["old", "new"], one["id"]: [["a"], {"b": "c"}]}),
            body=one if operation == "create" else _poisoned({"id": "x"}),
            parent_key=one["id"] if operation == "create" else "",
        )
        for one, operation in zip(objects, itertools.cycle(("create", "update", "deactivate", "delete")))
    ]
    failed = [_poisoned({"row": "1", "key": "k", "reasons": ["r"]})]
    scope = _poisoned({"base_types": ["room"], "root_element": "x"})
    plan = Plan(dataset["id"], dataset["name"], scope, dataset["id"], changes=changes, failed=failed)
    text = render_page(plan, snapshot)
    tags = Tags()
    tags.feed(text)
    assert "script&gt;" in text
    assert not tags.tags & {"script", "img"}
    assert not tags.names & {"onerror", "src"}
    assert text.count("</svg>") == text.count("<svg")
