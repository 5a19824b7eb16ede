"""Search for secrets in stored texts: a secret is found in every form and under every encoding."""

from __future__ import annotations

import base64
import gzip
import json
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.fernet import Fernet

from tests.support.canary_secrets import search
from tests.support.text_layers import decryption, layers, rows

SECRET = "Nordhøj+kort & 100% é/?"
KEY = Fernet.generate_key()
WRAPPERS: dict[str, Callable[[bytes], bytes]] = {
    "nothing": lambda data: data,
    "zlib": zlib.compress,
    "gzip": gzip.compress,
    "base64": base64.b64encode,
    "compressed base64": lambda data: base64.b64encode(zlib.compress(data)),
    "JSON": lambda data: json.dumps({"a": [data.decode()]}).encode(),
    "JSON in JSON": lambda data: json.dumps({"a": json.dumps([data.decode()])}).encode(),
    "Fernet": lambda data: Fernet(KEY).encrypt(data),
}
FORMS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "percent-encoded": lambda secret: quote(secret, safe=""),
    "base64": lambda secret: base64.b64encode(f"user:{secret}".encode()).decode(),
    "JSON": json.dumps,
}


@pytest.mark.parametrize("wrapper", WRAPPERS)
@pytest.mark.parametrize("form", FORMS)
def test_a_secret_is_found_in_every_form_however_it_is_wrapped(
    form: str, wrapper: str, tmp_path: Path
) -> None:
    (tmp_path / "airflow.cfg").write_text(f"[core]\nfernet_key = {KEY.decode()}\n")
    stored = WRAPPERS[wrapper](f"before {FORMS[form](SECRET)} after, and some more".encode())
    with sqlite3.connect(tmp_path / "airflow.db") as db:
        db.execute("CREATE TABLE trigger (id, kwargs)")
        db.execute("INSERT INTO trigger VALUES (1, ?)", [stored])
    decrypt = decryption(tmp_path)
    found = search(
        ((where, text) for where, data in rows(tmp_path / "airflow.db") for text in layers(data, decrypt)),
        [SECRET],
    )
    assert {where for where, _ in found} == {"trigger.kwargs"}
