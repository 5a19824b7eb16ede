"""Ask the four services whether they behave as the provider assumes.

Start it by hand after a release of a service, or before you rely on a new one. Nothing is changed: the checks
send reads and token requests only, at most two a second. Each task logs a line a check, and writes a report
without any value of a reply to object storage. It fails where data could be missing or wrong.

With `python -m airflow_provider.sandbox --like REPORT` a sandbox behaves as the service did.
"""

from __future__ import annotations

from airflow.sdk import DAG, ObjectStoragePath, Variable, task

CONNECTIONS = ["mapsindoors_default", "amigocloud_default", "iotstudio_default", "leanix_default"]

with DAG("conformance", schedule=None, tags=["twin"], doc_md=__doc__) as dag:

    @task(max_active_tis_per_dag=1)
    def check(conn_id: str) -> dict[str, int]:
        import json

        from airflow_provider.conformance.task import check_service

        report = check_service(conn_id)
        path = ObjectStoragePath(f"{Variable.get('twin_output')}/conformance/{conn_id}.json")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1))
        if report["counts"]["differs!"]:
            raise RuntimeError(f"{conn_id} behaves otherwise, and data is at risk: see the log")
        return report["counts"]

    check.expand(conn_id=CONNECTIONS)
