"""Call what the README of the vendor's client, ``amigocloud``, shows, in an environment that has it.

``vendor_client.py "<step>" <options>``, both as JSON; prints the results as one JSON object. The options are
``base_url``, ``token``, ``project_token``, ``websockets``, and ``file`` for the uploads.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Callable
from typing import Any

from amigocloud import AmigoCloud, AmigoCloudError

OWNER, PROJECT, OTHER_PROJECT, ASSETS, SMALL = 123, 1234, 1235, 2001, 1
HERE = f"/users/{OWNER}/projects/{PROJECT}"
Options = dict[str, Any]


def client(options: Options, **changes: Any) -> AmigoCloud:
    given = {"token": options["token"], "use_websockets": options["websockets"], **changes}
    return AmigoCloud(base_url=options["base_url"], **given)


def for_project(options: Options, project: int = PROJECT) -> AmigoCloud:
    url = f"users/{OWNER}/projects/{project}"
    return client(options, token=options["project_token"], project_url=url)


def refused(act: Callable[[], Any]) -> dict[str, Any]:
    """Return the status and the body of the client's error."""
    try:
        act()
    except AmigoCloudError as error:
        return {"status": error.response.status_code, **json.loads(error.text)}
    raise AssertionError("nothing was refused")


def tokens(options: Options) -> Any:
    """Authenticate, and read with the three forms of a URL."""
    user, project = client(options), for_project(options)
    api = f"{options['base_url']}/api/v1"
    return {
        "transport": user.socketio.transport_name if user.socketio else None,
        "me": [user.get(url)["id"] for url in ("me", "/me", f"{api}/me")],
        "datasets": [
            project.get(url)["count"] for url in ("datasets", f"{HERE}/datasets", f"{api}{HERE}/datasets")
        ],
        "bad_token": refused(lambda: client(options, token="R:wrong")),
        "another_project": refused(lambda: for_project(options, OTHER_PROJECT)),
    }


def reads(options: Options) -> Any:
    """Read projects by a link, a raw picture, and cursors over lists and rows."""
    user, project = client(options), for_project(options)
    me = user.get("me")
    picture = user.get(user.get(me["images"])["thumbnail"], raw=True)
    datasets = project.get_cursor("datasets")
    first = datasets.next()
    second = datasets.next() if datasets.has_next else None
    rows = user.get_cursor(f"/projects/{PROJECT}/sql", {"query": f"select * from dataset_{ASSETS}"})
    columns = [column["name"] for column in rows.get("columns")]
    return {
        "visible": len(user.get(me["visible_projects"])["results"]),
        "picture": picture[1:4].decode(),
        "page": sorted(user.get("/me/projects")),
        "projects": [one["name"] for one in user.get_cursor("/me/projects")],
        "found": [one["name"] for one in user.get_cursor("/me/projects", {"search": "campus"})],
        "first_two": [first["name"], second["name"]],
        "columns": columns,
        "rows": [row["number"] for row in rows],
        "count": rows.get("count"),
        "exhausted": not rows.has_next,
        "not_a_list": [one["first_name"] for one in user.get_cursor("me")],
    }


def writes(options: Options) -> Any:
    """Call all methods that write, and provoke errors."""
    user = client(options)
    made = user.post("me/projects", {"name": "New Project", "description": "Created from Python"})
    put = user.put(made["url"], {"name": "Renamed", "description": "By PUT"})
    patched = user.patch(made["url"], {"name": "Again"})
    sql = user.post(f"{HERE}/sql", {"query": f"UPDATE dataset_{SMALL} SET value = 17.5"})
    row = {"new": {"name": "made elsewhere", "value": 1}, "amigo_id": "a" * 32}
    change = {"type": "DML", "entity": f"dataset_{SMALL}", "action": "INSERT", "data": [row]}
    job = user.post(f"{HERE}/datasets/{SMALL}/submit_change", {"change": json.dumps(change)})["job"]
    schema = json.dumps([{"name": "title", "type": "string"}])
    dataset = user.post(f"{HERE}/datasets/create", {"name": "Short-lived", "schema": schema})
    return {
        "made": made["name"],
        "put": [put["name"], put["description"]],
        "patched": [patched["name"], patched["description"]],
        "affected": sql["count"],
        "job": finished(user, job)["status"],
        "deleted": user.delete(f"{HERE}/datasets/{dataset['id']}").decode(),
        "gone": refused(lambda: user.get(f"{HERE}/datasets/{dataset['id']}")),
        "mistake": refused(lambda: user.post("me/projects")),
    }


def uploads(options: Options) -> Any:
    """Upload a file in one piece, and in chunks."""
    user = client(options)
    whole = user.upload_datafile(OWNER, PROJECT, options["file"])
    chunked = user.upload_datafile(OWNER, PROJECT, options["file"], chunk_size=1000, force_chunked=True)
    return [finished(user, upload["job"])["extra"]["dataset_ids"][0] for upload in (whole, chunked)]


def finished(user: AmigoCloud, job: str) -> Any:
    while (found := user.get(f"/me/jobs/{job}"))["status"] in {"PENDING", "STARTED"}:
        time.sleep(0.05)
    return found


class HeardError(Exception):
    """Both events have come."""


def events(options: Options) -> Any:
    """Listen to the user's events and to those of a dataset, until one of each has come."""
    user, seen = client(options), {}

    def heard(name: str) -> Callable[[Any], None]:
        def callback(data: Any) -> None:
            seen[name] = data
            if len(seen) == 2:
                raise HeardError

        return callback

    user.listen_user_events()
    user.listen_dataset_events(OWNER, PROJECT, ASSETS)
    for name in ("project:creation_succeeded", "realtime"):
        user.add_callback(name, heard(name))
    with contextlib.suppress(HeardError):
        user.start_listening(seconds=20)
    return {"transport": user.socketio.transport_name, **seen}


if __name__ == "__main__":
    step, given = map(json.loads, sys.argv[1:])
    steps = {"tokens": tokens, "reads": reads, "writes": writes, "uploads": uploads, "events": events}
    print(json.dumps(steps[step](given)))
