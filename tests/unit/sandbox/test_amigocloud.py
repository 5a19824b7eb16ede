"""Sandbox of AmigoCloud: replies equal to the vendor's."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlsplit

import httpx
import pytest

from airflow_provider.sandbox.amigocloud import seed
from airflow_provider.sandbox.amigocloud.sql.geometry import ewkb, from_text, point_of
from airflow_provider.sandbox.server import Sandbox

pytestmark = pytest.mark.both_engines

HTTP = httpx.Client(verify=False)
PROJECT = f"/users/{seed.USER}/projects/{seed.PROJECT}"
ASSETS = f"{PROJECT}/datasets/{seed.ASSETS}"


class Api:
    """A client that adds a token to every request."""

    def __init__(self, sandbox: Sandbox, token: str = seed.USER_TOKEN) -> None:
        self.root = sandbox.amigocloud.api_root
        self.token = token

    def __call__(self, method: str, path: str, /, status: int = 200, **options: Any) -> Any:
        url = httpx.URL(self.root + path)
        params = [*url.params.multi_items(), ("token", self.token), *dict(options.pop("params", {})).items()]
        reply = HTTP.request(method, url.copy_with(query=None), params=params, **options)
        assert reply.status_code == status, reply.text
        return reply.json() if "json" in reply.headers.get("content-type", "") else reply

    def sql(self, text: str, /, status: int = 200, **params: Any) -> Any:
        return self("GET", f"{PROJECT}/sql", status, params={"query": text, **params})

    def write(self, text: str, status: int = 200) -> Any:
        return self("POST", f"{PROJECT}/sql", status, json={"query": text})


@pytest.fixture
def api(sandbox: Sandbox) -> Api:
    return Api(sandbox)


# -- tokens


def test_the_token_is_read_raw_or_percent_encoded(sandbox):
    url = sandbox.amigocloud.api_root + "/me"
    assert HTTP.get(f"{url}?token={seed.USER_TOKEN}").json()["id"] == 123
    assert HTTP.get(f"{url}?token={quote(seed.USER_TOKEN, safe='')}").json()["id"] == 123
    assert HTTP.get(f"{url}?token={quote(seed.AWKWARD_TOKEN, safe='')}").json()["id"] == 123


def test_of_a_repeated_parameter_the_last_value_counts(sandbox):
    url = sandbox.amigocloud.api_root + "/me/projects"
    query = f"token=bad&limit=1&limit=2&token={seed.USER_TOKEN}"
    assert len(HTTP.get(f"{url}?{query}").json()["results"]) == 2


@pytest.mark.parametrize("token", ["R:wrong", ""])
def test_a_bad_token_is_refused_in_the_services_form(sandbox, token):
    body = Api(sandbox, token)("GET", "/me", 401)
    assert set(body) == {"error_code", "detail"}
    sandbox.amigocloud.bad_token_status = 403
    Api(sandbox, token)("GET", "/me", 403)


def test_an_expired_token_is_refused(sandbox, api):
    sandbox.amigocloud.tokens[seed.USER_TOKEN].expires_at = sandbox.clock.now() + 60
    api("GET", "/me")
    sandbox.clock.advance(61)
    api("GET", "/me", 401)


def test_permission_letters_are_enforced(sandbox):
    insert = f"INSERT INTO dataset_{seed.FIRST} (name) VALUES ('x')"
    update = f"UPDATE dataset_{seed.FIRST} SET value = 1"
    reader, creator = Api(sandbox, seed.READ_TOKEN), Api(sandbox, seed.CREATE_PROJECT_TOKEN)
    reader.write(insert, 403)
    creator.write(insert)
    creator.write(update, 403)
    Api(sandbox, seed.EDIT_PROJECT_TOKEN).write(update)
    Api(sandbox, seed.EDIT_PROJECT_TOKEN)("POST", f"{PROJECT}/datasets/create", 403, json={})


def test_a_project_token_sees_only_its_project(sandbox):
    api = Api(sandbox, seed.EDIT_PROJECT_TOKEN)
    api("GET", f"{PROJECT}/")
    api("GET", "/me", 403)
    api("GET", "/projects/1235", 403)
    api("GET", "/me/jobs/abc", 403)
    sandbox.amigocloud.project_token_jobs = True
    api("GET", "/me/jobs/abc", 404)


# -- paths and lists


@pytest.mark.parametrize(
    "path",
    [
        "/users/123/projects/1234",
        "/users/0/projects/1234/",
        "/projects/1234",
        f"/users/{seed.USER_UUID}/projects/{seed.PROJECT_UUID}/",
    ],
)
def test_a_project_has_many_addresses(api, path):
    assert api("GET", path)["id"] == 1234


def test_project_zero_stands_for_the_datasets_project(api):
    assert api("GET", f"/users/0/projects/0/datasets/{seed.ASSETS}")["table_name"] == "dataset_2001"


def test_an_unknown_project_is_not_found(api):
    assert api("GET", "/users/123/projects/99", 404)["error_code"] == "not_found"
    api("GET", "/users/7/projects/1234", 404)


def test_lists_come_by_twenty_with_an_absolute_next_that_echoes_the_token(sandbox, api):
    first = api("GET", "/me/projects", params={"search": ""})
    assert (first["count"], len(first["results"]), first["previous"]) == (25, 20, None)
    query = parse_qs(urlsplit(first["next"]).query, keep_blank_values=True)
    assert first["next"].startswith(sandbox.amigocloud.api_root)
    assert query == {"limit": ["20"], "offset": ["20"], "search": [""], "token": [seed.USER_TOKEN]}
    second = HTTP.get(first["next"]).json()
    assert (len(second["results"]), second["next"]) == (5, None)


def test_links_of_objects_can_be_followed(api):
    item = api("GET", ASSETS)
    assert item["feature_count"] == seed.ASSET_COUNT
    schema = HTTP.get(item["schema"], params={"token": seed.USER_TOKEN}).json()["schema"]
    assert [field["name"] for field in schema][:2] == ["amigo_id", "number"]
    assert schema[0]["nullable"] is False
    assert len(HTTP.get(item["master"], params={"token": seed.USER_TOKEN}).json()["master"]) == 40


def test_the_picture_of_the_user_can_be_fetched(api):
    assert api("GET", "/me/images")["thumbnail"].endswith(".png")
    assert api("GET", "/me/images/thumbnail.png").content.startswith(b"\x89PNG")


# -- SQL


def test_sql_returns_columns_with_types_and_the_total_count(api):
    page = api.sql(f"SELECT * FROM dataset_{seed.ASSETS} ORDER BY number", limit=5)
    types = {column["name"]: column["type"] for column in page["columns"]}
    assert types["amigo_id"] == "string"
    assert types["wkb_geometry"] == "geometry"
    assert (types["price"], types["in_service"], types["inspected_at"]) == ("float", "boolean", "datetime")
    assert (page["count"], page["limit"], page["offset"], len(page["data"])) == (3000, 5, 0, 5)
    assert page["data"][1]["in_service"] is True
    assert page["data"][0]["wkb_geometry"].startswith("0101000020E6100000")


def test_sql_pages_are_clamped_and_end_with_a_null_next(sandbox, api):
    sandbox.amigocloud.page_clamp = 1200
    page, seen = api.sql(f"SELECT number FROM dataset_{seed.ASSETS} ORDER BY number", limit=9000), []
    while True:
        seen += [row["number"] for row in page["data"]]
        assert page["limit"] == 1200
        if page["next"] is None:
            break
        page = HTTP.get(page["next"]).json()
    assert seen == list(range(3000))
    assert sandbox.counters.rows_served["amigocloud"] == 3000


def test_a_result_without_rows_still_has_the_columns(api):
    page = api.sql(f"SELECT name FROM dataset_{seed.ASSETS} WHERE 1 = 0")
    assert (page["columns"], page["data"], page["count"]) == ([{"name": "name", "type": "string"}], [], 0)


def test_joins_casts_and_functions_work(api):
    row = api.sql(
        f"WITH a AS (SELECT category, count(*) AS n FROM dataset_{seed.ASSETS} GROUP BY category) "
        "SELECT a.category::text AS c, n FROM a WHERE a.category ILIKE 'HV%' AND n > 1"
    )["data"][0]
    assert row == {"c": "hvac", "n": 600}
    lon = api.sql(f"SELECT ST_X(wkb_geometry) AS x FROM dataset_{seed.ASSETS} LIMIT 1")["data"][0]["x"]
    assert 12.5 < lon < 12.65


def test_the_coordinate_system_of_a_column_can_be_looked_up_as_gdal_does(api):
    find = f"Find_SRID('public', 'dataset_{seed.ASSETS}', 'wkb_geometry')"
    sql = f"SELECT srid, srtext FROM spatial_ref_sys WHERE srid IN (SELECT {find})"
    (row,) = api.sql(sql)["data"]
    assert row["srid"] == 4326
    assert row["srtext"].startswith('GEOGCS["WGS 84"')


def test_moments_compare_in_every_format(api):
    sql = f"SELECT count(*) AS n FROM dataset_{seed.ASSETS} WHERE updated_at >= "
    formats = ["'2025-01-02 06:00:00+00:00'", "'2025-01-02T07:00:00+01:00'", "'2025-01-02T06:00:00Z'"]
    assert len({api.sql(sql + text)["data"][0]["n"] for text in formats}) == 1


@pytest.mark.parametrize("sql", ["SELEC 1", "SELECT * FROM dataset_99", "SELECT nope FROM dataset_1", ""])
def test_bad_sql_is_refused_in_the_services_form(api, sql):
    assert set(api.sql(sql, 400)) == {"error_code", "detail"}


def test_writing_needs_a_post(api):
    assert api.sql(f"DELETE FROM dataset_{seed.FIRST}", 400)["error_code"] == "read_only"
    api.write("DROP TABLE dataset_1", 400)


@pytest.mark.parametrize("statement", ["ATTACH DATABASE '{}' AS other", "VACUUM INTO '{}'"])
def test_no_statement_makes_a_file_on_this_machine(api, tmp_path, statement):
    file = tmp_path / "made.db"
    for disguise in ("/* insert */ ", ""):
        answer = api("POST", f"{PROJECT}/sql", 400, json={"query": disguise + statement.format(file)})
        assert "error_code" in answer
    assert not file.exists()


def test_a_query_may_come_by_post(api):
    page = api("POST", f"{PROJECT}/sql", json={"query": "SELECT * FROM dataset_1"}, params={"limit": 3})
    assert (page["count"], len(page["data"])) == (8, 3)
    assert page["next"] is not None


def test_a_write_returns_its_rows_and_the_new_state(api):
    before = api("GET", f"{PROJECT}/datasets/1/master")["master"]
    answer = api.write("UPDATE dataset_1 SET value = value + 1 WHERE value < 3")
    assert (answer["count"], answer["total_rows"]) == (2, 2)
    after = api("GET", f"{PROJECT}/datasets/1/master")["master"]
    assert answer["new_state"] == after != before


def test_an_inserted_row_gets_an_amigo_id_and_a_hex_geometry(api):
    api.write(f"INSERT INTO dataset_{seed.ASSETS} (name, wkb_geometry) VALUES ('N', 'SRID=4326;POINT(1 2)')")
    row = api.sql(f"SELECT amigo_id, wkb_geometry FROM dataset_{seed.ASSETS} WHERE name = 'N'")["data"][0]
    assert len(row["amigo_id"]) == 32
    assert row["wkb_geometry"] == ewkb("POINT", (1, 2))


# -- states


def test_a_state_stays_readable_after_later_writes(api):
    sql = "SELECT * FROM dataset_1 WHERE amigo_id >= '' ORDER BY amigo_id"
    state = api("GET", f"{PROJECT}/datasets/1/master")["master"]
    before = api.sql(sql)["data"]
    api.write("UPDATE dataset_1 SET name = 'changed' WHERE value > 5")
    api.write("DELETE FROM dataset_1 WHERE value < 3")
    middle = api("GET", f"{PROJECT}/datasets/1/master")["master"]
    expected = api.sql(sql)["data"]
    api.write("INSERT INTO dataset_1 (name, value) VALUES ('new', 1)")
    api.write("DELETE FROM dataset_1 WHERE name <> 'new'")
    assert api.sql(sql, state=state, dataset_id=1)["data"] == before
    then = api.sql(sql, state=middle, dataset_id=1)
    assert (then["data"], then["count"]) == (expected, 6)
    assert [row["name"] for row in api.sql(sql)["data"]] == ["new"]
    states = api("GET", f"{PROJECT}/datasets/1/states", params={"from": state})["states"]
    assert states[1] == middle
    assert len(states) == 4


def test_an_unknown_state_is_refused(api):
    api.sql("SELECT * FROM dataset_1", 400, state="nope", dataset_id=1)


def test_a_keyset_page_of_an_old_state_is_sorted(api, sandbox):
    state = sandbox.amigocloud.store.master(seed.ASSETS)
    api.write(f"UPDATE dataset_{seed.ASSETS} SET floor = 1 WHERE number < 1500")
    sql = f"SELECT * FROM dataset_{seed.ASSETS} WHERE amigo_id > '8' ORDER BY amigo_id LIMIT 10"
    page = api.sql(sql, state=state, dataset_id=seed.ASSETS)
    keys = [row["amigo_id"] for row in page["data"]]
    assert keys == sorted(keys)
    assert len(keys) == page["count"] == 10


# -- jobs


def wait(sandbox: Sandbox, api: Api, job: str) -> Any:
    assert api("GET", f"/me/jobs/{job}")["status"] in {"PENDING", "STARTED"}
    sandbox.clock.advance(sandbox.amigocloud.job_latency)
    return api("GET", f"/me/jobs/{job}")


def change(action: str, data: Any, kind: str = "DML", entity: str = "dataset_1") -> dict[str, str]:
    return {"change": json.dumps({"type": kind, "entity": entity, "action": action, "data": data})}


def test_a_change_is_a_job_that_acts_when_it_is_done(sandbox, api):
    path = f"{PROJECT}/datasets/1/submit_change"
    row = {"new": {"name": "Noether", "value": 4}, "amigo_id": "a" * 32}
    job = api("POST", path, json=change("INSERT", [row]))["job"]
    assert sandbox.amigocloud.store.count(1) == 8
    assert wait(sandbox, api, job)["status"] == "SUCCESS"
    assert sandbox.amigocloud.store.count(1) == 9
    repeated = api("POST", path, json=change("INSERT", [row]))["job"]
    wait(sandbox, api, repeated)
    assert sandbox.amigocloud.store.count(1) == 9
    wait(sandbox, api, api("POST", path, json=change("DELETE", [{"amigo_id": "a" * 32}]))["job"])
    assert sandbox.amigocloud.store.count(1) == 8


def test_columns_are_added_and_dropped_by_changes(sandbox, api):
    path = f"{PROJECT}/datasets/1/submit_change"
    new = {"new": {"name": "colour", "type": "string"}}
    assert wait(sandbox, api, api("POST", path, json=change("ADD COLUMN", [new], "DDL"))["job"])
    assert api.sql("SELECT colour FROM dataset_1")["columns"] == [{"name": "colour", "type": "string"}]
    old = {"old": {"name": "colour"}}
    wait(sandbox, api, api("POST", path, json=change("DROP COLUMN", [old], "DDL"))["job"])
    api.sql("SELECT colour FROM dataset_1", 400)


def test_a_job_fails_by_switch_and_when_its_change_is_not_valid(sandbox, api):
    path = f"{PROJECT}/datasets/1/submit_change"
    sandbox.amigocloud.job_failures = ["disk full"]
    job = api("POST", path, json=change("TRUNCATE", None))["job"]
    assert wait(sandbox, api, job) | {"id": 0, "url": ""} == {
        "id": 0,
        "url": "",
        "status": "FAILURE",
        "extra": {"error": "disk full"},
    }
    bad = api("POST", path, json=change("INSERT", [{"new": {"nope": 1}}]))["job"]
    assert wait(sandbox, api, bad)["status"] == "FAILURE"
    assert sandbox.amigocloud.store.count(1) == 8


def test_a_dataset_goes_back_to_an_earlier_state(sandbox, api):
    rows = api.sql("SELECT * FROM dataset_1 ORDER BY amigo_id")["data"]
    state = sandbox.amigocloud.store.master(1)
    api.write("DELETE FROM dataset_1")
    assert wait(sandbox, api, api("POST", f"{PROJECT}/datasets/1/revert/{state}")["job"])["extra"] == {}
    assert api.sql("SELECT * FROM dataset_1 ORDER BY amigo_id")["data"] == rows


def test_a_new_dataset_is_visible_after_a_delay(sandbox, api):
    sandbox.amigocloud.dataset_lag = 5
    fields = json.dumps([{"name": "name", "type": "string"}])
    made = api("POST", f"{PROJECT}/datasets/create", json={"name": "New", "schema": fields})
    api("GET", f"{PROJECT}/datasets/{made['id']}", 404)
    sandbox.clock.advance(6)
    assert api("GET", f"{PROJECT}/datasets/{made['id']}")["name"] == "New"
    api("DELETE", f"{PROJECT}/datasets/{made['id']}", 204)
    api("GET", f"{PROJECT}/datasets/{made['id']}", 404)


def test_an_export_job_links_to_a_file(sandbox, api):
    job = api("POST", f"{PROJECT}/datasets/1/export", json={"format": "KML"})["job"]
    link = wait(sandbox, api, job)["extra"]["link"]
    reply = HTTP.get(link, params={"token": seed.USER_TOKEN})
    assert reply.text.startswith("<?xml")
    assert reply.headers["content-disposition"].endswith('filename="Dataset_1.kml"')
    sandbox.amigocloud.foreign_exports = True
    job = api("POST", f"{PROJECT}/datasets/1/export", json={"format": "KML"})["job"]
    link = wait(sandbox, api, job)["extra"]["link"]
    assert HTTP.get(link).status_code == 200
    assert HTTP.get(link, params={"token": seed.USER_TOKEN}).status_code == 400


# -- uploads

CSV = "name;height\nOak;12,5\nElm;9\n".replace(",", ".").encode()


def test_a_file_in_one_piece_becomes_a_dataset(sandbox, api):
    path = f"{PROJECT}/datasets/upload"
    options = {"csv_props.delimiter": ";", "dataset_write_action": "overwrite"}
    job = api("POST", path, files={"datafile": ("trees.csv", CSV)}, data=options)["job"]
    (number,) = wait(sandbox, api, job)["extra"]["dataset_ids"]
    page = api.sql(f"SELECT name, height FROM dataset_{number} ORDER BY name")
    assert page["data"] == [{"name": "Elm", "height": 9.0}, {"name": "Oak", "height": 12.5}]
    job = api("POST", path, files={"datafile": ("trees.csv", CSV)}, data=options)["job"]
    assert len(wait(sandbox, api, job)["extra"]["dataset_ids"]) == 1
    assert [d.name for d in sandbox.amigocloud.store.datasets.values()].count("trees") == 1


def test_a_file_that_is_too_big_needs_chunks(sandbox, api):
    sandbox.amigocloud.simple_upload_limit = 5
    api("POST", f"{PROJECT}/datasets/upload", 413, files={"datafile": ("trees.csv", CSV)})


def test_chunks_come_in_order_and_fit(sandbox, api):
    path, size = f"{PROJECT}/datasets/chunked_upload", len(CSV)

    def send(part: bytes, header: str, status: int = 200, **data: str) -> Any:
        files = {"datafile": ("trees.csv", part)}
        return api("POST", path, status, files=files, data=data, headers={"Content-Range": header})

    send(CSV[:10], f"bytes 0-7/{size}", 400)
    send(CSV[:10], "", 400)
    first = send(CSV[:10], f"bytes 0-9/{size}")
    assert first["offset"] == 10
    number = first["upload_id"]
    send(CSV[11:], f"bytes 11-{size - 1}/{size}", 400, upload_id=number)
    done = {"upload_id": number, "md5": hashlib.md5(CSV).hexdigest()}
    api("POST", f"{path}/complete", 400, json=done)
    assert send(CSV[10:], f"bytes 10-{size - 1}/{size}", upload_id=number)["offset"] == size
    api("POST", f"{path}/complete", 400, json={**done, "md5": "0"})
    job = api("POST", f"{path}/complete", json={**done, "csv_props.delimiter": ";"})["job"]
    assert wait(sandbox, api, job)["status"] == "SUCCESS"


# -- sockets, projects, switches


def test_a_websocket_session_needs_a_user_token(sandbox, api):
    assert isinstance(api("GET", "/me/start_websocket_session")["websocket_session"], str)
    assert api("GET", f"{ASSETS}/start_websocket_session")["websocket_session"]
    Api(sandbox, seed.EDIT_PROJECT_TOKEN)("GET", f"{ASSETS}/start_websocket_session", 403)


def poll(sandbox: Sandbox, packet: str | None = None, **params: str) -> httpx.Response:
    url = f"{sandbox.url}/v2_socket.io/socket.io/"
    content = None if packet is None else bytes([0, *map(int, str(len(packet))), 255]) + packet.encode()
    query = {"EIO": "3", "transport": "polling", **params}
    return HTTP.request("GET" if packet is None else "POST", url, params=query, content=content)


def packets_of(reply: httpx.Response) -> list[str]:
    """Parse the binary framing: 0, the length's digits, 255, the packet."""
    assert reply.status_code == 200, reply.text
    packets, rest = [], reply.content
    while rest:
        size, _, rest = rest[1:].partition(b"\xff")
        length = int("".join(map(str, size)))
        packets.append(rest[:length].decode())
        rest = rest[length:]
    return packets


def test_a_polling_client_joins_and_receives_events(sandbox, api):
    handshake, joined = packets_of(poll(sandbox))
    sid = json.loads(handshake[1:])["sid"]
    assert (handshake[0], joined) == ("0", "40")
    session = api("GET", "/me/start_websocket_session")["websocket_session"]
    authenticate = json.dumps(["authenticate", {"userid": seed.USER, "websocket_session": session}])
    for packet in ("2", "40/amigosocket,", f"42/amigosocket,{authenticate}"):
        assert poll(sandbox, packet, sid=sid).text == "ok"
    sandbox.amigocloud.sockets.emit("project:deleted", {"project_id": 7})
    event = '42/amigosocket,["project:deleted",{"project_id":7}]'
    assert packets_of(poll(sandbox, sid=sid)) == ["3", "40/amigosocket", event]
    sandbox.amigocloud.sockets.disconnect()
    assert packets_of(poll(sandbox, sid=sid)) == ["1"]
    assert poll(sandbox, sid=sid).json() == {"code": 1, "message": "Session ID unknown"}


def test_a_polling_client_may_leave(sandbox):
    sid = json.loads(packets_of(poll(sandbox))[0][1:])["sid"]
    poll(sandbox, "1", sid=sid)
    assert poll(sandbox, sid=sid).status_code == 400
    assert not sandbox.amigocloud.sockets.connections


def test_a_polling_client_upgrades_to_a_websocket(sandbox):
    client = pytest.importorskip("websockets.sync.client")
    handshake = json.loads(packets_of(poll(sandbox))[0][1:])
    assert handshake["upgrades"] == ["websocket"]
    origin = sandbox.url.replace("http", "ws")
    query = f"EIO=3&transport=websocket&sid={handshake['sid']}"
    with client.connect(f"{origin}/v2_socket.io/?{query}") as socket:
        socket.send("2probe")
        assert socket.recv(5) == "3probe"
        socket.send("5")
        socket.send("40/amigosocket,")
        assert socket.recv(5) == "40/amigosocket"
    assert sandbox.amigocloud.sockets.opened == 1


@pytest.mark.parametrize(
    ("params", "message"),
    [({"EIO": "4"}, "Unsupported protocol version"), ({"transport": "jsonp"}, "Transport unknown")],
)
def test_polling_is_for_protocol_3(sandbox, params, message):
    reply = poll(sandbox, **params)
    assert (reply.status_code, reply.json()["message"]) == (400, message)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_a_project_is_renamed_at_its_own_url(api, method):
    assert api(method, PROJECT, json={"name": "Harbour"})["name"] == "Harbour"
    project = api("GET", PROJECT)
    assert (project["name"], project["description"]) == ("Harbour", "Assets and zones of the campus")
    api(method, PROJECT, 400, json={"name": ""})


def test_a_saved_query_holds_its_text(api):
    sql = api("GET", f"/projects/1234/queries/{seed.QUERY}")["query"]
    assert len(api.sql(sql)["data"]) == 7


def test_pages_can_be_empty_and_counts_wrong_and_next_foreign(sandbox, api):
    service = sandbox.amigocloud
    service.empty_pages, service.count_error, service.next_origin = 1, 7, "http://elsewhere.example"
    page = api.sql("SELECT * FROM dataset_1", limit=2)
    assert (page["data"], page["count"]) == ([], 15)
    link = urlsplit(page["next"])
    assert link.netloc == "elsewhere.example"
    assert dict(parse_qsl(link.query))["offset"] == "0"


def test_data_can_change_between_pages(sandbox, api):
    service = sandbox.amigocloud
    service.before_page = lambda n: n == 2 and service.store.write("DELETE FROM dataset_1 WHERE value < 2")
    page = api.sql("SELECT * FROM dataset_1", limit=2)
    assert page["count"] == 8
    assert HTTP.get(page["next"]).json()["count"] == 6


def test_unordered_queries_can_come_in_any_order(sandbox, api):
    sandbox.amigocloud.unstable_order = True
    sql = f"SELECT number FROM dataset_{seed.ASSETS}"
    assert api.sql(sql)["data"] != api.sql(sql)["data"]


def test_requests_are_throttled(sandbox, api):
    sandbox.amigocloud.requests_per_second = 0
    assert api("GET", "/me", 429)["error_code"] == "throttled"


def test_replies_are_compressed_for_clients_that_accept_it(sandbox):
    sandbox.amigocloud.compress = True
    url = f"{sandbox.amigocloud.api_root}/me?token={seed.USER_TOKEN}"
    assert HTTP.get(url, headers={"accept-encoding": "gzip"}).headers["content-encoding"] == "gzip"
    assert "content-encoding" not in HTTP.get(url, headers={"accept-encoding": "identity"}).headers


def test_a_reset_restores_the_seeded_data(sandbox, api):
    rows = api.sql("SELECT * FROM dataset_1")["data"]
    api.write("DELETE FROM dataset_1")
    sandbox.amigocloud.reset()
    assert api.sql("SELECT * FROM dataset_1")["data"] == rows


def test_geometries_are_read_from_text():
    assert from_text("POINT(1 2)") == from_text("SRID=4326;POINT (1.0 2.0)") == ewkb("POINT", (1, 2))
    square = [[(0, 0), (1, 0), (1, 1), (0, 0)]]
    assert from_text("POLYGON((0 0, 1 0, 1 1, 0 0))") == ewkb("POLYGON", square)
    assert from_text(ewkb("POINT", (1, 2))) == ewkb("POINT", (1, 2))
    assert point_of(ewkb("POINT", (1, 2))) == (1, 2)
    with pytest.raises(ValueError, match="invalid geometry"):
        from_text("CIRCLE(1 2)")
