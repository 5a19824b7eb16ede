"""Checks of AmigoCloud with a dataset that they make and remove."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from airflow_provider.conformance.check import (
    SUCCESS,
    Answer,
    Check,
    Creation,
    Finder,
    Observed,
    OpenQuestionError,
    Step,
)
from airflow_provider.conformance.checks.shared import Answers, Facts, choice_reader, status_reader

KEY = "{unknown}00000000"
"""Key of the row that the checks write."""

FIELDS = '[{"name": "label", "type": "string"}]'
DATASET = "datasets/{data}"
CONTENT = "label\none\n"
"""Content of a file; the header of its upload names its ten bytes."""


def _id(answer: Answer, facts: Facts) -> int | None:
    made = answer.json()
    return made["id"] if made.get("name") == f"{facts['run']}-data" else None


def _number(answer: Answer, _: Facts) -> Any:
    return answer.json().get("id")


def _nothing(_: Answer, __: Facts) -> None:
    return None


def _same_name(answer: Answer, name: str) -> list[str]:
    return [str(row["id"]) for row in answer.json()["results"] if row.get("name") == name]


MAKE = Step(
    "POST",
    "datasets/create",
    base="project",
    json={"name": "{run}-data", "schema": FIELDS},
    makes="data",
)
CHUNK = Step(
    "POST",
    "datasets/chunked_upload",
    base="project",
    files=("{run}-upload.csv", CONTENT),
    headers={"Content-Range": f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"},
)
COMPLETE = Step(
    "POST",
    "datasets/chunked_upload/complete",
    base="project",
    json={"upload_id": "{upload_id}", "md5": "0" * 32, "filename": "{run}-upload.csv"},
    accepts=SUCCESS | {400},
    makes="upload",
)
GALLERY = Step(
    "POST",
    f"{DATASET}/related_tables",
    base="project",
    json={"name": "{run}-gallery", "type": "gallery"},
    accepts=SUCCESS,
    needs=("seen",),
    makes="gallery",
)
PHOTO = Step(
    "POST",
    "related_tables/{gallery}/upload",
    files=("{run}-photo.jpg", "x"),
    form={"source_amigo_id": KEY, "filename": "{run}-photo.jpg"},
    once=True,
    needs=("insert_job",),
)
ENTRIES = Step("GET", "related_tables/{gallery}/entries", needs=("photo",))
REMOVE = Step("DELETE", "datasets/{id}", base="project")
LOOK = Step("GET", "datasets/{id}", base="project")
SEARCH = Step("GET", "datasets", base="project", params={"limit": "100", "search": "{name}"})
CREATIONS = {
    "data": Creation(
        "an empty dataset",
        Finder(MAKE, _id, "the dataset was not made"),
        REMOVE,
        SEARCH,
        _same_name,
        (LOOK, "name"),
    ),
    "gallery": Creation(
        "a gallery of this dataset with one photo, which is deleted with it",
        Finder(GALLERY, _number, "the gallery has no id"),
        None,
        SEARCH,
        lambda _, __: [],
    ),
    "upload": Creation(
        "an upload with a wrong checksum, and its dataset if the service takes it",
        Finder(COMPLETE, _nothing, "the upload was refused"),
        REMOVE,
        SEARCH,
        _same_name,
        (LOOK, "name"),
    ),
}


def _has_ended(answer: Answer, _: Facts) -> bool:
    return answer.json().get("status") in {"SUCCESS", "FAILURE"}


EXPORT = Step("POST", f"{DATASET}/export", base="project", json={"format": "KML"}, needs=("seen",))
SEEN = Step("GET", DATASET, base="project", accepts=SUCCESS, until=lambda answer, _: answer.status in SUCCESS)
EXPORTED = Step("GET", "me/jobs/{export_job}", until=_has_ended, at_most=60.0)
SEEN_STATUSES = frozenset({"PENDING", "STARTED", "SUCCESS", "FAILURE"})


def _job_of(answer: Answer, _: Facts) -> str | None:
    found = answer.json().get("job")
    return str(found) if found else None


def _change(action: str, **row: Any) -> Step:
    change = {"type": "DML", "entity": "dataset_{data}", "action": action, "data": [{"amigo_id": KEY, **row}]}
    return Step(
        "POST",
        f"{DATASET}/submit_change",
        base="project",
        json={"change": json.dumps(change)},
        needs=("seen",),
        once=True,
    )


CHANGES = {
    "insert_job": _change("INSERT", new={"label": "one"}),
    "repeat_job": _change("INSERT", new={"label": "two"}),
    "update_job": _change("UPDATE", new={"label": "three"}),
    "delete_job": _change("DELETE"),
}


def _ended(job: str) -> Step:
    return Step("GET", f"me/jobs/{{{job}}}", until=_has_ended, at_most=60.0)


ROWS = Step("GET", "sql", "project", {"query": "SELECT label FROM dataset_{data} ORDER BY label"}, fresh=True)


def _labels(answer: Answer) -> list[str]:
    return [row["label"] for row in answer.json()["data"]]


def _has_failed(answer: Answer) -> bool:
    return bool(answer.json()["status"] == "FAILURE")


def _repeated(answers: Answers, _: Facts) -> str:
    repeat, rows = answers[1:]
    if _has_failed(repeat):
        return "refuse"
    known = {("two",): "replace", ("one",): "ignore", ("one", "two"): "add"}
    return known[tuple(_labels(rows))]


def _updated(answers: Answers, _: Facts) -> str:
    update, rows = answers[1:]
    if _has_failed(update):
        return "refuse"
    return "apply" if "three" in _labels(rows) else "ignore"


def _deleted(answers: Answers, _: Facts) -> str:
    before, delete, after = answers[1:]
    if _has_failed(delete):
        return "refuse"
    return "apply" if len(_labels(after)) < len(_labels(before)) else "ignore"


def _affected_rows(answers: Answers, _: Facts) -> str:
    body = answers[0].json()
    found = [name for name in ("count", "total_rows") if body.get(name) is not None]
    if not found:
        raise OpenQuestionError("the reply has no number of rows")
    return "both" if len(found) > 1 else found[0]


def _job_statuses(answers: Answers, _: Facts) -> Observed:
    unknown = {answer.json()["status"] for answer in answers} - SEEN_STATUSES
    if unknown:
        return Observed("OTHER", f"found {len(unknown)} unknown statuses")
    return Observed(None, "found known ones")


def _formats(answers: Answers, _: Facts) -> Observed:
    asked = ("KML", *OTHER_FORMATS)
    found = [name for name, answer in zip(asked, answers, strict=True) if answer.status in SUCCESS]
    return Observed(found, f"found {', '.join(found) or 'none'}")


def _own_link(answer: Answer, facts: Facts) -> str | None:
    link = str(answer.json()["extra"]["link"])
    return link if urlsplit(link).netloc == urlsplit(facts["host"]).netloc else None


def _is_open(answers: Answers, _: Facts) -> bool:
    return answers[0].status in SUCCESS


def _redirects(answers: Answers, _: Facts) -> bool:
    return answers[0].status not in SUCCESS


def _entry(name: str) -> Finder:
    def read(answer: Answer, _: Facts) -> str | None:
        rows = answer.json()["data"]
        return str(rows[0][name]) if rows else None

    return Finder(ENTRIES, read, "the gallery has no photo")


FINDERS = {
    **{job: Finder(step, _job_of, "the change has no job") for job, step in CHANGES.items()},
    "export_link": Finder(EXPORTED, _own_link, "the file is on another host, which gets no token"),
    "photo": Finder(PHOTO, lambda _, __: True, "the photo was not taken"),
    "photo_row": _entry("source_amigo_id"),
    "photo_key": _entry("amigo_id"),
    "photo_name": _entry("filename"),
    "upload_id": Finder(CHUNK, lambda answer, _: answer.json().get("upload_id"), "the upload has no id"),
    "export_job": Finder(EXPORT, lambda answer, _: answer.json().get("job"), "the export has no job"),
    "seen": Finder(SEEN, lambda _, __: True, "the dataset is not visible"),
}


def _lag(answers: Answers, _: Facts) -> Observed:
    seconds = float(round(answers[-1].seconds))
    return Observed(seconds, f"found it visible after {seconds:g} s")


def _is_foreign(answers: Answers, facts: Facts) -> bool:
    link = answers[-1].json()["extra"]["link"]
    return bool(urlsplit(link).netloc != urlsplit(facts["host"]).netloc)


OTHER_FORMATS = ("CSV", "GeoJSON")
"""Formats of exports that no document names."""

REFUSABLE = SUCCESS | {400, 404, 415, 422}
CHANGED = {"apply": "it applied", "ignore": "it ignored", "refuse": "a failed job"}


def _checks_md5(answers: Answers, _: Facts) -> bool:
    return answers[-1].status not in SUCCESS


SCRATCH = (
    Check(
        "A9.lag",
        "scratch",
        "After how many seconds is a new dataset visible?",
        (MAKE, SEEN),
        "dataset_lag",
        0.0,
        "a new dataset is visible at once",
        "amigocloud/operators.py",
        _lag,
    ),
    Check(
        "A9.md5",
        "scratch",
        "Is an upload with a wrong checksum refused?",
        (COMPLETE,),
        "check_md5",
        True,
        "an upload with a wrong checksum is refused",
        "amigocloud/uploads.py",
        choice_reader(_checks_md5, {True: "it refused", False: "it accepted"}),
        danger=True,
    ),
    Check(
        "A9.export",
        "scratch",
        "Does the file of an export lie on the service's own host?",
        (EXPORTED,),
        "foreign_exports",
        False,
        "the file of an export lies on the own host",
        "amigocloud/api_datasets.py",
        choice_reader(_is_foreign, {False: "the own host", True: "another host"}),
    ),
    Check(
        "A9.link_token",
        "scratch",
        "Can the file of an export be read without a token?",
        (
            Step(
                "GET",
                "{export_link}",
                login="none",
                accepts=SUCCESS | {400, 401, 403, 404},
                status_only=True,
            ),
        ),
        "open_exports",
        False,
        "the file of an export needs the token",
        "amigocloud/api_datasets.py",
        choice_reader(_is_open, {False: "a refusal without it", True: "the file without it"}),
        moot={"foreign_exports": "a file on another host gets no token"},
        refusal="answer",
    ),
    Check(
        "A9.formats",
        "scratch",
        "Which formats do exports have?",
        (EXPORT, *(replace(EXPORT, json={"format": name}, accepts=REFUSABLE) for name in OTHER_FORMATS)),
        "export_formats",
        ["KML"],
        "exports have the format KML",
        "amigocloud/operators.py",
        _formats,
    ),
    Check(
        "A9.job_statuses",
        "scratch",
        "Are the statuses of jobs those that clients know?",
        (Step("GET", "me/jobs/{insert_job}"), _ended("insert_job")),
        "shown_job_status",
        None,
        "jobs have known statuses",
        "amigocloud/conditions.py",
        _job_statuses,
    ),
    Check(
        "A9.insert_twice",
        "scratch",
        "What does a second INSERT with the amigo_id of a row do?",
        (_ended("insert_job"), _ended("repeat_job"), ROWS),
        "repeated_insert",
        "replace",
        "a second INSERT replaces the row",
        "amigocloud/api_datasets.py",
        choice_reader(
            _repeated,
            {
                "replace": "the row replaced",
                "ignore": "the second one ignored",
                "refuse": "a failed job",
                "add": "two rows",
            },
        ),
        danger=True,
    ),
    Check(
        "A9.update",
        "scratch",
        "Does a change with an amigo_id and new values update the row?",
        (_ended("insert_job"), _ended("update_job"), ROWS),
        "keyed_changes",
        "apply",
        "a change updates the row of its amigo_id",
        "amigocloud/api_datasets.py",
        choice_reader(_updated, CHANGED),
        danger=True,
    ),
    Check(
        "A9.photo",
        "scratch",
        "Is a photo of a gallery a redirect to another place?",
        (
            Step(
                "GET",
                "related_tables/{gallery}/files/{photo_row}/{photo_key}/{photo_name}",
                accepts=SUCCESS | {301, 302, 303, 307, 308},
                status_only=True,
            ),
        ),
        "photo_redirect",
        True,
        "a photo is a redirect",
        "amigocloud/hooks.py",
        choice_reader(_redirects, {True: "a redirect", False: "the photo"}),
    ),
    Check(
        "A9.remove",
        "scratch",
        "Does a change with an amigo_id delete the row?",
        (_ended("insert_job"), ROWS, _ended("delete_job"), ROWS),
        "keyed_changes",
        "apply",
        "a change deletes the row of its amigo_id",
        "amigocloud/api_datasets.py",
        choice_reader(_deleted, CHANGED),
        danger=True,
    ),
    Check(
        "A9.affected",
        "scratch",
        "Which field of the reply to an UPDATE has the number of rows?",
        (
            Step(
                "POST",
                "sql",
                base="project",
                json={"query": "UPDATE dataset_{data} SET label = 'four'"},
                needs=("seen",),
            ),
        ),
        "affected_rows",
        "both",
        "count and total_rows have the number of rows",
        "amigocloud/api.py",
        choice_reader(
            _affected_rows,
            {"both": "both fields", "count": "count alone", "total_rows": "total_rows alone"},
        ),
    ),
    Check(
        "A9.delete_twice",
        "scratch",
        "Which status does the DELETE of a dataset have that is gone already?",
        (
            Step("DELETE", DATASET, base="project", needs=("seen",), removes="data"),
            Step("DELETE", DATASET, base="project", accepts=SUCCESS | {404, 410}, fresh=True),
        ),
        "deleted_dataset_status",
        404,
        "a second DELETE of a dataset is a 404",
        "amigocloud/operators.py",
        status_reader(204, 404, of=-1),
    ),
)
