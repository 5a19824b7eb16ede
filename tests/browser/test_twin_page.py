"""The page "Digital twin" in a browser, with chosen replies of Airflow's API: hostile, many, none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import pytest
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.support.every_task import classes_with
from tests.support.stub_airflow import StubAirflow, stub_airflow
from tests.support.web_page import WebPage, open_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EVIL = '<img src=x onerror="document.title=1"><script>document.title=2</script>'
SECTIONS = ("plans", "runs", "exports", "assets")
MANIFEST = {"uri": "s3://AKIA:secret@bucket/zones.csv?token=secret", "rows": 12345, "bytes": 2_500_000}


@pytest.fixture(scope="module")
def started() -> Iterator[StubAirflow]:
    """Start the API server."""
    with stub_airflow() as stub:
        yield stub


@pytest.fixture
def airflow(started: StubAirflow) -> StubAirflow:
    """Return the API server without content."""
    started.reset()
    return started


@contextmanager
def open_twin(browser: Browser, airflow: StubAirflow, **window: Any) -> Iterator[WebPage]:
    """Open the page, and wait until it has read all."""
    with open_page(browser, **window) as seen:
        seen.page.goto(f"{airflow.url}/digital-twin/")
        seen.page.locator("#updated", has_not_text="Reading").wait_for()
        yield seen


def rows(seen: WebPage, section: str) -> list[str]:
    return seen.page.locator(f"#{section} tbody tr").all_inner_texts()


def fill(airflow: StubAirflow) -> None:
    """Add one row of each section."""
    airflow.lists["dags"] = [{"dag_id": "campus"}]
    airflow.add_approval()
    airflow.add_task("run", "LeanIXRunOperator", "deferred")
    airflow.add_task("export", "AmigoCloudExportOperator", "success")
    airflow.add_asset(7, "mapsindoors://integration.mapsindoors.com/solutions/campus")
    airflow.links = {"LeanIX sync log": "https://acme.leanix.net/acme/admin/synclog"}
    airflow.xcoms = {"return_value": {**MANIFEST, "create": 2, "update": 0, "delete": 1}}


def test_each_section_shows_its_rows_with_links_into_airflow(browser: Browser, airflow: StubAirflow) -> None:
    fill(airflow)
    with open_twin(browser, airflow) as seen:
        (plan,), (run,), (export,), (asset,) = (rows(seen, section) for section in SECTIONS)
        hrefs = seen.page.locator("section a").evaluate_all("all => all.map(one => one.href)")
        assert seen.problems == []
    assert all(text in plan for text in ("Change the map?", "2 new", "1 deleted", "all who may edit"))
    assert "0 changed" not in plan
    assert all(text in run for text in ("LeanIX", "waits in the triggerer", "LeanIX sync log"))
    assert all(text in export for text in ("AmigoCloud", "12,345", "2.5 MB", "s3://bucket/zones.csv"))
    assert all(text in asset for text in ("solutions/campus", "older than a week", "1,234 rows"))
    task = f"{airflow.url}/dags/campus/runs/manual__1/tasks"
    assert {
        f"{task}/approve/required_actions",
        f"{airflow.url}/digital-twin/plan?dag_id=campus&run_id=manual__1&task_id=plan&map_index=-1",
        f"{task}/run",
        f"{task}/export",
        f"{airflow.url}/assets/7",
        "https://acme.leanix.net/acme/admin/synclog",
    } <= set(hrefs)


def test_no_credential_of_a_path_is_shown(browser: Browser, airflow: StubAirflow) -> None:
    fill(airflow)
    with open_twin(browser, airflow) as seen:
        assert "secret" not in seen.page.content()


def test_an_empty_section_says_what_would_appear_and_how(browser: Browser, airflow: StubAirflow) -> None:
    with open_twin(browser, airflow) as seen:
        notes = [seen.page.locator(f"#{section} .note").inner_text() for section in SECTIONS]
        assert [rows(seen, section) for section in SECTIONS] == [[]] * 4
        assert seen.problems == []
    assert all("No " in note and "ppear" in note for note in notes)


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (JSONResponse({"detail": "no"}, 403), "You may not see this"),
        (JSONResponse({"detail": "no"}, 401), "You are signed out"),
        (PlainTextResponse("<h1>broken</h1>", 500), "failed (status 500)"),
        (PlainTextResponse("<h1>login</h1>"), "something other than JSON"),
        (JSONResponse({"surprise": []}), "not of the expected form"),
    ],
    ids=["403", "401", "500", "no JSON", "other JSON"],
)
@pytest.mark.parametrize(
    ("section", "path"),
    [
        ("plans", "hitlDetails"),
        ("runs", "operator=LeanIXRunSensor"),
        ("exports", "state=success"),
        ("assets", "assets?"),
    ],
    ids=SECTIONS,
)
def test_a_failure_is_in_words_in_its_section_only(
    browser: Browser, airflow: StubAirflow, section: str, path: str, failure: Response, words: str
) -> None:
    fill(airflow)
    airflow.failures = {path: failure}
    with open_twin(browser, airflow) as seen:
        assert words in seen.page.locator(f"#{section} .problem").inner_text()
        shown = seen.page.locator(".problem:visible")
        assert shown.count() == 1
        assert all(rows(seen, other) for other in SECTIONS if other != section)
        assert "Not all is up to date" in seen.page.locator("#updated").inner_text()


def test_a_lost_server_is_in_words_and_the_rows_stay(browser: Browser, airflow: StubAirflow) -> None:
    fill(airflow)
    with open_twin(browser, airflow) as seen:
        seen.page.route("**/api/v2/**", lambda route: route.abort())
        seen.page.get_by_role("button", name="Refresh").click()
        seen.page.get_by_text("cannot be reached").nth(3).wait_for()
        assert all(rows(seen, section) for section in SECTIONS)
        seen.page.get_by_text("Not all is up to date").wait_for()
        assert seen.page.get_by_text("The rows are those of").count() == len(SECTIONS)
        seen.page.unroute("**/api/v2/**")
        seen.page.get_by_role("button", name="Refresh").click()
        seen.page.locator(".problem:visible").first.wait_for(state="hidden")


def test_who_may_not_read_xcoms_sees_that_there_is_a_plan_and_an_export(
    browser: Browser, airflow: StubAirflow
) -> None:
    fill(airflow)
    airflow.failures = {"xcomEntries": JSONResponse({}, 403)}
    with open_twin(browser, airflow) as seen:
        (plan,), (export,) = rows(seen, "plans"), rows(seen, "exports")
        assert seen.page.locator(".problem:visible").count() == 0
    assert "You may not read the XComs of this DAG" in plan
    assert "You may not read the XComs of this DAG" in export


def test_a_result_that_is_gone_is_not_said_to_be_forbidden(browser: Browser, airflow: StubAirflow) -> None:
    """XComs are deleted by ``airflow db clean``, and a task may push no result."""
    fill(airflow)
    airflow.xcoms = {}
    airflow.failures = {"campus/tasks": JSONResponse({}, 404)}
    with open_twin(browser, airflow) as seen:
        (plan,), (export,) = rows(seen, "plans"), rows(seen, "exports")
    assert "Airflow has no" in plan
    assert "Airflow has no" in export
    assert "You may not" not in plan + export


def test_questions_that_ended_without_an_answer_hide_no_plan(browser: Browser, airflow: StubAirflow) -> None:
    """A question whose task has failed, or timed out, stays without an answer for ever."""
    for number in range(120):
        airflow.add_approval(f"Old {number}?")
        airflow.lists["taskInstances"][-1]["state"] = "failed"
    airflow.add_approval("Change the map?")
    with open_twin(browser, airflow) as seen:
        (row,) = rows(seen, "plans")
    assert "Change the map?" in row


def test_an_older_airflow_without_the_newest_state_lists_its_plans(
    browser: Browser, airflow: StubAirflow
) -> None:
    airflow.add_approval()
    airflow.failures = {"state=awaiting_input": JSONResponse({"detail": "Invalid value for state"}, 422)}
    with open_twin(browser, airflow) as seen:
        assert len(rows(seen, "plans")) == 1
        airflow.asked.clear()
        seen.page.get_by_role("button", name="Refresh").click()
        seen.page.wait_for_load_state("networkidle")
        assert sum("hitlDetails" in asked for asked in airflow.asked) == 1


def test_many_questions_about_other_things_are_not_said_to_be_none(
    browser: Browser, airflow: StubAirflow
) -> None:
    for number in range(30):
        airflow.add_approval(f"Lunch {number}?")
    airflow.lists["xcomEntries"].clear()
    with open_twin(browser, airflow) as seen:
        note = seen.page.locator("#plans .note").inner_text()
        assert rows(seen, "plans") == []
    assert "No plan waits" not in note
    assert "Required Actions" in note


def test_exports_beyond_the_last_successes_are_not_said_to_be_none(
    browser: Browser, airflow: StubAirflow
) -> None:
    for _ in range(101):
        airflow.add_task("export", "AmigoCloudExportOperator", "success")
    airflow.xcoms = {"return_value": MANIFEST}
    with open_twin(browser, airflow) as seen:
        assert len(rows(seen, "exports")) == 1
        assert "last 100 successes" in seen.page.locator("#exports .note").inner_text()


def test_a_sensor_between_two_polls_is_a_live_run(browser: Browser, airflow: StubAirflow) -> None:
    airflow.add_task("wait", "LeanIXRunSensor", "up_for_reschedule")
    with open_twin(browser, airflow) as seen:
        (row,) = rows(seen, "runs")
    assert "waits for its next poll" in row


def test_texts_of_the_api_become_no_markup_and_no_script(browser: Browser, airflow: StubAirflow) -> None:
    fill(airflow)
    for task in airflow.lists["taskInstances"] + airflow.lists["xcomEntries"]:
        task |= {"dag_display_name": EVIL, "task_display_name": EVIL, "dag_id": EVIL}
    airflow.lists["hitlDetails"][0] |= {"subject": EVIL, "assigned_users": [{"id": "1", "name": EVIL}]}
    airflow.lists["assets"][0]["uri"] += EVIL
    airflow.lists["events"][0]["extra"] = {"rows": EVIL, "written": 3}
    airflow.xcoms = {"return_value": {**MANIFEST, "uri": f"/tmp/{EVIL}", "create": EVIL}}
    airflow.links = {
        EVIL: "javascript:document.title=3",
        "data": "data:text/html,x",
        "ok": f"https://x/{EVIL}",
    }
    with open_twin(browser, airflow) as seen:
        assert [len(rows(seen, section)) for section in SECTIONS] == [1, 1, 1, 1]
        assert seen.page.locator("img, main script").count() == 0
        assert seen.page.title() == "Digital twin"
        hrefs = seen.page.locator("a").evaluate_all("all => all.map(one => one.getAttribute('href'))")
        assert seen.page.get_by_text(EVIL).count() > 5
        assert seen.problems == []
    assert not [href for href in hrefs if href.startswith(("javascript:", "data:"))]


def test_only_assets_of_dags_that_the_viewer_may_see_are_listed(
    browser: Browser, airflow: StubAirflow
) -> None:
    """Airflow's API lists all assets to everyone who may see assets, whichever DAGs they belong to."""
    airflow.lists["dags"] = [{"dag_id": "campus"}]
    airflow.add_asset(1, "mapsindoors://host/solutions/mine")
    airflow.add_asset(2, "leanix://host/factsheets", dag_id="theirs")
    airflow.add_asset(3, "s3://bucket/other-provider")
    airflow.lists["events"][0]["source_dag_id"] = "theirs"
    airflow.lists["assets"][0]["producing_tasks"].append({"dag_id": "theirs", "task_id": "export"})
    with open_twin(browser, airflow) as seen:
        (row,) = rows(seen, "assets")
        assert "solutions/mine" in row
        assert "campus" in row
        assert "1,234" not in row
        assert "theirs" not in seen.page.content()


def test_the_page_sends_few_requests_whatever_there_is(browser: Browser, airflow: StubAirflow) -> None:
    airflow.lists["dags"] = [{"dag_id": f"dag-{number}"} for number in range(500)]
    for number in range(300):
        dag = {"dag_id": f"dag-{number}", "end_date": f"2026-01-01T{number % 24:02}:00:00Z"}
        airflow.add_task("export", "AmigoCloudExportOperator", "success", **dag)
        airflow.add_task("run", "LeanIXRunOperator", "deferred", **dag)
        airflow.add_approval(**dag)
        airflow.add_asset(number, f"mapsindoors://host/solutions/{number}", f"dag-{number}")
    airflow.xcoms = {"return_value": {**MANIFEST, "create": 1}}
    with open_twin(browser, airflow) as seen:
        first = len(airflow.asked)
        assert len(rows(seen, "plans")) == len(rows(seen, "exports")) == 20
        assert len(rows(seen, "runs")) == len(rows(seen, "assets")) == 100
        airflow.asked.clear()
        seen.page.get_by_role("button", name="Refresh").click()
        seen.page.wait_for_load_state("networkidle")
        second = len(airflow.asked)
    assert first <= 140
    assert second <= 30


def test_the_page_refreshes_by_itself_but_not_while_it_is_hidden(
    browser: Browser, airflow: StubAirflow
) -> None:
    with open_page(browser) as seen:
        seen.page.clock.install()
        seen.page.goto(f"{airflow.url}/digital-twin/")
        seen.page.get_by_text("Updated").wait_for()
        assert rows(seen, "exports") == []
        fill(airflow)
        with seen.page.expect_response("**/hitlDetails?*"):
            seen.page.clock.fast_forward(31_000)
        seen.page.locator("#exports tbody tr").wait_for()
        seen.page.wait_for_load_state("networkidle")
        seen.page.evaluate("Object.defineProperty(document, 'hidden', {get: () => true, configurable: true})")
        airflow.asked.clear()
        seen.page.clock.run_for(120_000)
        assert airflow.asked == []
        seen.page.evaluate("delete document.hidden")
        with seen.page.expect_response("**/hitlDetails?*"):
            seen.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")


def test_a_refresh_leaves_the_focus_where_it_is(browser: Browser, airflow: StubAirflow) -> None:
    fill(airflow)
    with open_twin(browser, airflow) as seen:
        seen.page.locator("#exports tbody a").first.focus()
        with seen.page.expect_response("**/hitlDetails?*"):
            seen.page.evaluate("document.getElementById('refresh').click()")
        seen.page.wait_for_load_state("networkidle")
        assert seen.page.evaluate("document.activeElement.href").endswith("/tasks/export")


@pytest.mark.parametrize("colours", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_fits_the_screen_and_meets_wcag_aa(
    browser: Browser, airflow: StubAirflow, width: int, colours: Literal["light", "dark"]
) -> None:
    fill(airflow)
    airflow.add_task("failing", "AmigoCloudUploadOperator", "running")
    airflow.add_task("part", "AmigoCloudExportOperator", "success", map_index=3)
    with open_twin(browser, airflow, width=width, colours=colours) as seen:
        seen.page.route("**/assets?**", lambda route: route.abort())
        seen.page.get_by_role("button", name="Refresh").click()
        seen.page.get_by_text("cannot be reached").wait_for()
        assert not seen.is_too_wide()
        assert seen.violations() == []


def test_every_section_is_reached_with_the_keyboard(browser: Browser, airflow: StubAirflow) -> None:
    fill(airflow)
    with open_twin(browser, airflow) as seen:
        seen.page.locator("nav a.exports").focus()
        seen.page.keyboard.press("Enter")
        seen.page.keyboard.press("Tab")
        focused = "document.activeElement.closest('section')?.id"
        assert seen.page.evaluate(focused) == "exports"


def module(seen: WebPage, call: str, *arguments: Any) -> Any:
    """Call a function of the script in the browser."""
    return seen.page.evaluate(
        f"async given => (await import('./tasks.js')).{call}(...given)", list(arguments)
    )


@pytest.fixture(scope="module")
def script(browser: Browser, started: StubAirflow) -> Iterator[WebPage]:
    """Open a page in which functions are called."""
    started.reset()
    with open_twin(browser, started) as seen:
        yield seen


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("file:///data/a b?#.csv", "file:///data/a b"),
        ("/data/what?#.csv", "/data/what?#.csv"),
        ("s3://aws_default@bucket/key.csv", "s3://bucket/key.csv"),
        ("https://user:p@ss@host/x?sig=secret#y", "https://host/x"),
        ("s3://bucket/a@b.csv", "s3://bucket/a@b.csv"),
    ],
)
def test_a_location_is_shown_without_credentials(script: WebPage, uri: str, shown: str) -> None:
    assert module(script, "shownPath", uri) == shown


@pytest.mark.parametrize(
    ("value", "manifest"),
    [
        ({"uri": "/x", "rows": 1, "bytes": 2}, {"path": "/x", "rows": 1, "bytes": 2}),
        ('{"uri": "/x"}', {"path": "/x", "rows": None, "bytes": None}),
        ({"run_id": "1", "results": {"uri": "/y", "rows": "9"}}, {"path": "/y", "rows": None, "bytes": None}),
        ({"run_id": "1", "results": None}, None),
        ({"__classname__": "os.system", "__data__": "x"}, None),
        (["/x"], None),
        ("{broken", None),
        (None, None),
    ],
)
def test_only_plain_manifests_are_read_of_xcoms(script: WebPage, value: Any, manifest: Any) -> None:
    assert module(script, "readManifest", value) == manifest


@pytest.mark.parametrize(
    ("result", "changes"),
    [
        ({"create": 2, "update": 0, "delete": 1}, [["create", "2 new"], ["delete", "1 deleted"]]),
        ({"create": 0, "update": 0}, []),
        ({"configuration": [], "changed": True}, [["update", "1 to store"]]),
        ({"rows": 3}, None),
        ("text", None),
    ],
)
def test_the_changes_of_a_plan_are_words(script: WebPage, result: Any, changes: Any) -> None:
    assert module(script, "readChanges", result) == changes


def test_the_nearest_plan_before_a_question_is_meant_and_circles_end(script: WebPage) -> None:
    tasks = [
        {"task_id": "far", "downstream_task_ids": ["near"]},
        {"task_id": "near", "downstream_task_ids": ["ask"]},
        {"task_id": "ask", "downstream_task_ids": ["far", "after"]},
        {"task_id": "after", "downstream_task_ids": []},
    ]
    found = [{"task_id": name} for name in ("far", "near", "after")]
    assert module(script, "plansBefore", "ask", tasks, found) == [{"task_id": "near"}]
    assert module(script, "plansBefore", "ask", tasks, found[:1]) == [{"task_id": "far"}]
    assert module(script, "plansBefore", "ask", tasks, found[2:]) == []


def names(script: WebPage, constant: str) -> set[str]:
    found = script.page.evaluate(f"async () => Object.keys((await import('./tasks.js')).{constant})")
    return set(found)


def test_every_operator_that_writes_a_file_counts_as_an_export(script: WebPage) -> None:
    assert names(script, "EXPORTS") == {*classes_with("output_path"), "CommitManifestOperator"}


def test_every_operator_that_waits_for_remote_work_counts_as_a_run(script: WebPage) -> None:
    """Of the sensors only those that wait for work by its id; the others wait for data."""
    operators = {name for name in classes_with("deferrable") if not name.endswith("Sensor")}
    sensors = {name for name in classes_with("run_id") | classes_with("job_id") if name.endswith("Sensor")}
    assert names(script, "RUNS") == operators | sensors


def test_assets_of_all_four_services_are_known(script: WebPage) -> None:
    from airflow_provider.provider_info import get_provider_info

    schemes = {scheme for uri in get_provider_info()["asset-uris"] for scheme in uri["schemes"]}
    assert names(script, "SYSTEMS") == schemes
