"""Replace the content of an AmigoCloud dataset with the rows of a query.

The rows are checked against the dataset's fields before anything is sent: a value that the dataset would not
have fails the task, by row and column. They are written to a temporary CSV, which is uploaded, and the task
waits for the import in the triggerer. A retry after a crash, at whatever moment, neither loses nor doubles
rows, because the upload replaces what the dataset has; with `ORDER BY`, it also resumes a large upload.

To change only the rows that differ, see `example_amigocloud_sync_dataset.py`.

The connection `warehouse` is any Airflow connection for SQL: PostgreSQL, Snowflake, BigQuery, DuckDB, ...
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider.amigocloud.operators import AmigoCloudUploadOperator

RETRIES = {"retries": 3, "retry_delay": timedelta(minutes=1)}
ZONES = "SELECT name, area, ST_AsEWKB(outline) AS outline FROM twin.zones WHERE site = %(site)s ORDER BY name"

with DAG("warehouse_upload", schedule=None, default_args=RETRIES, tags=["warehouse"], doc_md=__doc__) as dag:
    AmigoCloudUploadOperator(
        task_id="upload_zones",
        dataset=2002,
        sql=ZONES,
        sql_conn_id="warehouse",
        parameters={"site": "Campus"},
        columns={"area": "area_m2", "outline": "wkb_geometry"},
        min_rows=2,
        deferrable=True,
    )
