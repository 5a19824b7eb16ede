"""The hook does all that the vendor's client shows, with errors that say what is wrong."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from airflow_provider.amigocloud.hooks import AmigoCloudHook
from airflow_provider.core.redaction import encodings
from airflow_provider.errors import (
    AmbiguousWriteError,
    AuthenticationError,
    InputError,
    NotFoundError,
    PermissionDeniedError,
    RequestRejectedError,
    ServerError,
    TransportError,
)
from airflow_provider.sandbox.amigocloud import seed

PROJECT = "users/123/projects/1234"


@pytest.fixture
def hook(sandbox):
    with AmigoCloudHook() as hook:
        yield hook


# -- URLs and tokens


def test_a_user_token_reads_by_relative_rooted_and_absolute_urls(sandbox, connect):
    with AmigoCloudHook(connect(extra={"project_url": None})) as hook:
        urls = ["me", "/me", f"{sandbox.amigocloud.api_root}/me"]
        assert [hook.get(url)["id"] for url in urls] == [123] * 3


def test_a_project_token_reads_relative_to_its_project(sandbox, connect):
    with AmigoCloudHook(connect(password=seed.CREATE_PROJECT_TOKEN)) as hook:
        root = sandbox.amigocloud.api_root
        paths = ["datasets", "/users/123/projects/1234/datasets", f"{root}/users/123/projects/1234/datasets"]
        assert [hook.get(path)["count"] for path in paths] == [3] * 3


@pytest.mark.parametrize("token", [seed.USER_TOKEN, seed.AWKWARD_TOKEN])
def test_any_token_survives_the_url(connect, token):
    with AmigoCloudHook(connect(password=token)) as hook:
        assert hook.get("/me")["id"] == 123
        assert hook.run("UPDATE dataset_1 SET value = 1 WHERE name = 'Bohr'") == 1


@pytest.mark.parametrize(
    "form", ["projects/1234", "/users/0/projects/1234/", "{root}/users/123/projects/1234"]
)
def test_the_project_url_may_be_written_in_several_ways(sandbox, connect, form):
    url = form.format(root=sandbox.amigocloud.api_root)
    with AmigoCloudHook(connect(extra={"project_url": url})) as hook:
        assert hook.get("datasets")["count"] == 3


@pytest.mark.parametrize("url", ["1234", "https://elsewhere.example/api/v1/projects/1", "users/123"])
def test_a_project_url_that_is_none_is_refused_before_any_request(sandbox, connect, url):
    with (
        AmigoCloudHook(connect(extra={"project_url": url})) as hook,
        pytest.raises(InputError, match="project_url"),
    ):
        hook.get("datasets")
    assert sandbox.counters.total() == 0


def test_an_absolute_url_elsewhere_is_refused_and_never_sees_the_token(sandbox, hook):
    with pytest.raises(InputError, match="go to its own host only") as caught:
        hook.get(sandbox.around.storage_origin + "/me")
    assert seed.USER_TOKEN not in str(caught.value)
    assert sandbox.counters.total() == 0


def test_an_unknown_extra_and_plain_http_elsewhere_are_named(sandbox, connect):
    with pytest.raises(InputError, match="'projcet'"):
        AmigoCloudHook(connect(extra={"projcet": "1"})).get("/me")
    with pytest.raises(InputError, match="plain http"):
        AmigoCloudHook(connect(host="http://amigocloud.example/api/v1")).get("/me")
    with pytest.raises(InputError, match="password is missing"):
        AmigoCloudHook(connect(password="")).get("/me")


# -- verbs


def test_a_raw_reply_is_bytes(hook):
    images = hook.get("/me/images")
    assert hook.get(images["thumbnail"], raw=True).startswith(b"\x89PNG")


def test_a_project_is_created_by_post(sandbox, hook):
    made = hook.post("/me/projects", {"name": "New Project", "description": "Created from Python"})
    assert sandbox.amigocloud.projects[made["id"]]["name"] == "New Project"


def test_a_delete_without_an_answer_gives_none(sandbox, hook):
    assert hook.delete("datasets/1") is None
    assert 1 not in sandbox.amigocloud.store.datasets


def test_parameters_of_the_caller_stay_as_they_are(hook):
    params = {"limit": 1}
    hook.get("datasets", params)
    list(hook.get_cursor("datasets", params))
    assert params == {"limit": 1}


def test_a_post_without_a_response_is_not_retried(sandbox, hook):
    sandbox.faults.add("reset_after", method="POST")
    with pytest.raises(AmbiguousWriteError):
        hook.post("/me/projects", {"name": "Once"})
    assert sandbox.counters.total("POST") == 1


def test_a_throttled_post_is_retried(sandbox, hook):
    sandbox.faults.add("status", method="POST", status=429, headers={"Retry-After": "0"})
    assert hook.run("DELETE FROM dataset_1 WHERE value < 2") == 2


# -- errors


@pytest.mark.parametrize(
    ("token", "url", "error"),
    [
        ("R:expired", "/me", AuthenticationError),
        (seed.EDIT_PROJECT_TOKEN, "/me", PermissionDeniedError),
        (seed.EDIT_PROJECT_TOKEN, "/users/123/projects/1235", PermissionDeniedError),
        (seed.USER_TOKEN, "/projects/99", NotFoundError),
        (seed.USER_TOKEN, "sql", RequestRejectedError),
    ],
)
def test_errors_are_typed_and_hold_the_status_and_the_words_of_the_service(connect, token, url, error):
    with AmigoCloudHook(connect(password=token)) as hook, pytest.raises(error) as caught:
        hook.get(url)
    assert caught.value.status in {400, 401, 403, 404}
    assert caught.value.code
    assert caught.value.message


@pytest.mark.parametrize(
    ("project", "url", "advice"),
    [
        (
            "users/123/projects/1234",
            "datasets/99",
            "dataset 99 is in the project 'users/123/projects/1234' of",
        ),
        (PROJECT, "queries/99", "saved query 99 is in the project"),
        (None, f"/{PROJECT}/datasets/99", "dataset 99 is visible with the token of"),
    ],
)
def test_a_404_says_what_to_check(connect, project, url, advice):
    conn_id = connect(extra={"project_url": project})
    with AmigoCloudHook(conn_id) as hook, pytest.raises(NotFoundError) as caught:
        hook.get(url)
    assert f"; check that {advice}" in str(caught.value)
    assert str(caught.value).count(f"the connection '{conn_id}'") == 1


def test_an_error_with_a_good_status_is_an_error(sandbox, hook):
    body = json.dumps({"error_code": "busy", "detail": f"no luck with {seed.USER_TOKEN}"})
    sandbox.faults.add("status", status=200, body=body, content_type="application/json", times=2)
    with pytest.raises(RequestRejectedError, match="busy: no luck with") as caught:
        hook.get("/me")
    assert seed.USER_TOKEN not in str(caught.value)
    with pytest.raises(RequestRejectedError, match="busy"):
        hook.get_records("SELECT * FROM dataset_1")


@pytest.mark.parametrize("fault", [("html", {"status": 502}), ("truncate", {}), ("reset_before", {})])
def test_a_bad_moment_is_waited_out(sandbox, hook, fault):
    kind, options = fault
    sandbox.faults.add(kind, **options)
    assert hook.get("/me")["id"] == 123


def test_a_page_of_html_that_stays_is_an_error_that_says_so(sandbox, hook):
    sandbox.faults.add("html", times=None, status=504)
    with pytest.raises(ServerError, match="504"):
        hook.get("/me")


def test_a_403_ends_at_once(sandbox, connect):
    with AmigoCloudHook(connect(password=seed.READ_TOKEN)) as hook, pytest.raises(PermissionDeniedError):
        hook.run("DELETE FROM dataset_1")
    assert sandbox.counters.total() == 1


@pytest.mark.parametrize("token", [seed.USER_TOKEN, seed.AWKWARD_TOKEN])
def test_no_error_and_no_log_line_shows_the_token(sandbox, connect, caplog, token):

    with AmigoCloudHook(connect(password=token)) as hook:
        for kind, options in [("reset_before", {}), ("html", {"status": 502}), ("truncate", {})]:
            sandbox.faults.add(kind, times=None, **options)
            with pytest.raises((ServerError, TransportError)) as caught:
                hook.get("/me", {"token": token})
            sandbox.faults.clear()
            shown = [str(caught.value), repr(caught.value), caplog.text, *map(str, caught.value.__notes__)]
            assert not [text for text in shown for form in encodings(token) if form in text]


# -- cursors


def test_a_cursor_walks_all_pages_one_item_at_a_time(sandbox, hook):
    cursor = hook.get_cursor("/me/projects")
    assert sandbox.counters.total() == 0
    names = [cursor.next()["name"]]
    while cursor.has_next:
        names.append(cursor.next()["name"])
    assert len(set(names)) == 25
    with pytest.raises(StopIteration):
        cursor.next()
    assert sandbox.counters.total() == 2


@pytest.mark.both_engines
def test_a_cursor_over_sql_gives_rows_and_the_extra_values(hook):
    rows = hook.get_cursor("/projects/1234/sql", {"query": "select * from dataset_1"})
    assert [column["name"] for column in rows.get("columns")] == ["amigo_id", "name", "value"]
    assert {row["name"] for row in rows} >= {"Bohr", "Ångström"}
    with pytest.raises(ValueError, match="no value 'colums'"):
        rows.get("colums")


def test_a_cursor_over_something_else_gives_it_once(hook):
    assert [me["id"] for me in hook.get_cursor("/me")] == [123]


def test_a_cursor_sends_each_parameter_once_even_from_an_offset(hook):
    cursor = hook.get_cursor("/me/projects", {"offset": 10, "limit": 5})
    assert [project["id"] for project in cursor] == list(range(1244, 1259))


def test_a_cursor_never_keeps_the_token(hook):
    cursor = hook.get_cursor("/me/projects")
    assert "limit=20" in cursor.get("next")
    assert seed.USER_TOKEN not in cursor.get("next")
    assert "token" not in cursor.get("next")


@pytest.mark.parametrize("token", [seed.USER_TOKEN, seed.AWKWARD_TOKEN])
def test_a_reply_does_not_hold_the_token_that_its_links_repeat(connect, token):
    with AmigoCloudHook(connect(password=token)) as hook:
        first = hook.get("/me/projects", {"limit": 10})
        second = hook.get(first["next"])
        sql = {"query": "SELECT number FROM dataset_2001 ORDER BY number", "limit": 10}
        replies = [first, second, hook.get("sql", sql), asyncio.run(hook.aget("/me/projects"))]
        assert not [form for form in encodings(token) if form in json.dumps(replies)]
        assert [project["id"] for project in second["results"]] == list(range(1244, 1254))
        assert "offset=0" in second["previous"] or "offset" not in second["previous"]
        assert hook.get(replies[2]["next"])["data"][0] == {"number": 10}


@pytest.mark.both_engines
def test_a_page_that_fails_costs_a_cursor_no_row(sandbox, hook):
    cursor = hook.get_cursor("/me/projects")
    seen = [cursor.next()["id"] for _ in range(20)]
    fault = sandbox.faults.add("status", status=400, body='{"error_code": "x", "detail": "y"}')
    with pytest.raises(RequestRejectedError):
        cursor.next()
    assert fault.hits == 1
    assert len({*seen, *(project["id"] for project in cursor)}) == 25


def test_an_empty_page_does_not_end_a_cursor(sandbox, hook):
    sandbox.amigocloud.empty_pages = 2
    assert len(list(hook.get_cursor("/me/projects"))) == 25


def test_a_next_link_to_another_host_is_refused(sandbox, hook):
    sandbox.amigocloud.next_origin = sandbox.around.storage_origin
    with pytest.raises(InputError, match="own host only"):
        list(hook.get_cursor("/me/projects"))
    assert sandbox.counters.total("storage") == 0


# -- SQL, jobs, uploads


@pytest.mark.both_engines
def test_records_of_a_long_result_come_whole(hook):
    rows = hook.get_records(f"SELECT number FROM dataset_{seed.ASSETS} ORDER BY number")
    assert [row["number"] for row in rows] == list(range(3000))


@pytest.mark.both_engines
def test_a_long_query_goes_by_post_page_after_page(sandbox, hook):
    numbers = ", ".join(str(n) for n in range(2500))
    sql = f"SELECT number FROM dataset_{seed.ASSETS} WHERE number IN ({numbers}) ORDER BY number"
    assert len(hook.get_records(sql)) == 2500
    assert len(list(hook.get_cursor("sql", {"query": sql}))) == 2500
    assert (sandbox.counters.total("POST"), sandbox.counters.total("GET")) == (6, 0)


@pytest.mark.both_engines
def test_run_returns_the_number_of_affected_rows(sandbox, hook):
    assert hook.run("UPDATE dataset_1 SET value = 0 WHERE value > 4") == 5


def test_sql_without_a_project_is_refused_before_any_request(sandbox, connect):
    with AmigoCloudHook(connect(extra={"project_url": None})) as hook:
        for ask in (hook.get_records, hook.run):
            with pytest.raises(InputError, match="project_url"):
                ask("SELECT 1")
    assert sandbox.counters.total() == 0


@pytest.mark.both_engines
def test_a_saved_query_is_found_by_its_id(hook):
    assert len(hook.get_records(hook.get_saved_query(seed.QUERY))) == 7


@pytest.mark.both_engines
@pytest.mark.parametrize("project", ["users/123/projects/1234", None])
def test_the_master_changes_with_the_data(sandbox, connect, project):
    with AmigoCloudHook(connect(extra={"project_url": project})) as hook:
        before = hook.get_master(1)
        assert before == hook.get_master("1")
        sandbox.amigocloud.store.write("DELETE FROM dataset_1")
        assert hook.get_master(1) != before


@pytest.mark.parametrize("dataset", ["dataset_1", "", "1/master", True])
def test_a_dataset_that_is_no_id_is_refused(hook, dataset):
    with pytest.raises(InputError, match="id of a dataset"):
        hook.get_master(dataset)


async def test_jobs_and_masters_are_read_from_an_event_loop_too(sandbox):
    hook = AmigoCloudHook()
    assert await hook.aget_master(1) == sandbox.amigocloud.store.master(1)
    job = sandbox.amigocloud.start_job("test", dict)
    assert (await hook.aget_job(job.id))["status"] == "PENDING"


def test_a_file_is_uploaded_and_its_job_followed(sandbox, hook, tmp_path):
    path = Path(tmp_path, 'tre"es.csv')
    path.write_text("name;height\nOak;12.5\nEbenholz, é;9\n", encoding="utf-8")
    job = hook.upload_file(str(path), options={"csv_props.delimiter": ";"})
    assert hook.get_job(job)["status"] in {"PENDING", "STARTED"}
    sandbox.clock.advance(1)
    done = hook.get_job(job)
    assert done["status"] == "SUCCESS"
    (number,) = done["extra"]["dataset_ids"]
    rows = hook.get_records(f"SELECT name, height FROM dataset_{number} ORDER BY height")
    assert rows == [{"name": "Ebenholz, é", "height": 9.0}, {"name": "Oak", "height": 12.5}]


def test_a_missing_file_is_refused_before_any_request(sandbox, hook, tmp_path):
    with pytest.raises(InputError, match="there is no file"):
        hook.upload_file(str(tmp_path / "none.csv"))
    assert sandbox.counters.total() == 0


# -- test_connection


def test_a_connection_that_works_says_what_it_is_connected_to(sandbox, connect):
    assert AmigoCloudHook().test_connection() == (True, "Connected to project 'Campus' (1234).")
    user = AmigoCloudHook(connect(extra={"project_url": None})).test_connection()
    assert user == (True, "Connected as facilities@campus.example.")


@pytest.mark.parametrize(
    ("values", "extra", "said"),
    [
        ({"host": "http://127.0.0.1:9"}, {}, "The host cannot be reached"),
        ({"password": "R:wrong"}, {}, "does not accept the credentials: Invalid token"),
        (
            {"password": seed.EDIT_PROJECT_TOKEN},
            {"project_url": "projects/1235"},
            "no permission for project",
        ),
        (
            {"password": seed.EDIT_PROJECT_TOKEN},
            {"project_url": None},
            "a project token needs 'project_url'",
        ),
        ({}, {"project_url": "users/123/projects/99"}, "no project 'users/123/projects/99'"),
        ({"host": "{origin}/wrong"}, {}, "check the path of the host"),
        ({}, {"project_url": "1234"}, "must look like users/123/projects/1234"),
    ],
)
def test_a_connection_that_fails_says_why_in_one_short_sentence(sandbox, connect, values, extra, said):
    values = {key: text.format(origin=sandbox.around.origin) for key, text in values.items()}
    works, message = AmigoCloudHook(connect(extra=extra, **values)).test_connection()
    assert not works
    assert said in message
    assert "\n" not in message
    assert len(message) < 300
    assert not [token for token in sandbox.amigocloud.tokens if token in message]


def test_nothing_is_read_or_sent_when_a_hook_is_made(sandbox):
    AmigoCloudHook("no_such_connection")
    assert sandbox.counters.total() == 0
