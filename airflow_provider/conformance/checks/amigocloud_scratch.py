"""Checks of AmigoCloud with a dataset that they make and remove."""

from __future__ import annotations

from urllib.parse import urlsplit

from airflow_provider.conformance.check import SUCCESS, Answer, Check, Creation, Finder, Observed, Step
from airflow_provider.conformance.checks.shared import Answers, Facts, choice_reader

FIELDS = '[{"name": "label", "type": "string"}]'
DATASET = "datasets/{data}"
CONTENT = "label\none\n"
"""Content of a file; the header of its upload names its ten bytes."""


def _id(answer: Answer, _: Facts) -> str | None:
    return str(answer.json()["id"])


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
REMOVE = Step("DELETE", "datasets/{id}", base="project")
SEARCH = Step("GET", "datasets", base="project", params={"limit": "100", "search": "{name}"})
CREATIONS = {
    "data": Creation(
        "an empty dataset", Finder(MAKE, _id, "the dataset was not made"), REMOVE, SEARCH, _same_name
    ),
    "upload": Creation(
        "an upload with a wrong checksum, and its dataset if the service takes it",
        Finder(COMPLETE, _nothing, "the upload was refused"),
        REMOVE,
        SEARCH,
        _same_name,
    ),
}


def _has_ended(answer: Answer, _: Facts) -> bool:
    return answer.json().get("status") in {"SUCCESS", "FAILURE"}


EXPORT = Step("POST", f"{DATASET}/export", base="project", json={"format": "KML"}, needs=("seen",))
SEEN = Step("GET", DATASET, base="project", accepts=SUCCESS, until=lambda answer, _: answer.status in SUCCESS)
EXPORTED = Step("GET", "me/jobs/{export_job}", until=_has_ended, at_most=60.0)
FINDERS = {
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
)
