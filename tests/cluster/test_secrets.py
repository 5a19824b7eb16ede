"""Where the credentials of the connections are after all other tests: in the connections, encrypted, only."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, quote_plus

from airflow_provider.leanix.hooks import LeanIXHook
from airflow_provider.mapsindoors.hooks import MapsIndoorsHook
from dev.cluster import BUCKET
from dev.postgres_server import find_programs
from tests.cluster.conftest import Proof


def test_no_credential_is_in_any_store_of_the_cluster(proof: Proof) -> None:
    found: list[str] = []
    needles = dict(_needles(proof))
    searched = 0
    for place, content in _contents(proof):
        searched += len(content)
        found += [f"{name} in {place}" for name, needle in needles.items() if needle in content]
    print(f"\n{searched} bytes searched for {len(needles)} forms of credentials")
    assert searched > 100_000
    assert found == []


def _needles(proof: Proof) -> Iterator[tuple[str, bytes]]:
    connections = {name: json.loads(text) for name, text in proof.cluster.connections.items()}
    secrets = {name: connection["password"] for name, connection in connections.items()}
    for name, secret in {**secrets, **_shared_tokens(proof, connections)}.items():
        for form in {secret, quote(secret, safe=""), quote_plus(secret), json.dumps(secret)[1:-1]}:
            yield f"{name} ({form[:2]}...)", form.encode()
        yield f"{name} (base64)", base64.b64encode(secret.encode()).rstrip(b"=")[:-2]


def _shared_tokens(proof: Proof, connections: Mapping[str, Any]) -> dict[str, str]:
    """Return the tokens that the tasks have used, read from the shared store."""
    tokens = {}
    for hook in (LeanIXHook, MapsIndoorsHook):
        name = f"{hook.conn_type}_cluster"
        connection = connections[name]
        extra = {**connection["extra"], "rate_limit_store": proof.cluster.redis.url}
        os.environ[f"AIRFLOW_CONN_{name.upper()}"] = json.dumps({**connection, "extra": extra})
        issued = proof.sandbox.counters.tokens_issued[hook.conn_type]
        with hook(name) as opened:
            tokens[f"token of {name}"] = opened.access_token()
        assert proof.sandbox.counters.tokens_issued[hook.conn_type] == issued
    return tokens


def _contents(proof: Proof) -> Iterator[tuple[str, bytes]]:
    import boto3
    import redis

    cluster = proof.cluster
    access = ["-h", "127.0.0.1", "-p", str(cluster.postgres.port), "-U", "airflow", "airflow"]
    dump = subprocess.run([find_programs() / "pg_dump", *access], capture_output=True, check=True)
    yield "database", dump.stdout
    for number in (0, 1):
        with redis.Redis(port=cluster.redis.port, db=number) as client:
            for key in client.scan_iter("*"):
                yield f"Redis {key!r}", key + (client.dump(key) or b"")
    s3 = boto3.client("s3", **cluster.s3_options)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET):
        for item in page.get("Contents", ()):
            yield f"S3 {item['Key']}", s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()
    for path in cluster.home.rglob("*"):
        if path.is_file() and "postgres" not in path.parts:
            yield str(path), path.read_bytes()
