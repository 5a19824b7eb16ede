"""Bring the photos that field crews take into object storage, and their list into a table.

1. `export` downloads the photos that the folder does not have, eight at a time. Each is a file of its own.
2. `load` replaces the rows of `twin.photos` by the list of all photos. `source_amigo_id` is the asset's
   `amigo_id`, so a view joins the photos to the assets.

AmigoCloud keeps photos in a bucket; its host belongs into the connection's extra `allowed_hosts`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider.amigocloud.operators import AmigoCloudExportPhotosOperator
from airflow_provider.warehouse.operators import SqlLoadOperator

RETRIES = {"retries": 3, "retry_delay": timedelta(minutes=1)}

with DAG("warehouse_photos", schedule=None, default_args=RETRIES, tags=["warehouse"], doc_md=__doc__) as dag:
    export = AmigoCloudExportPhotosOperator(
        task_id="export",
        dataset=2001,
        output_path="{{ var.value.twin_output }}/photos/",
        incremental=True,
    )
    load = SqlLoadOperator(
        task_id="load",
        source="{{ ti.xcom_pull('export')['uri'] }}",
        sql_conn_id="warehouse",
        table="photos",
        key=["gallery", "amigo_id"],
        create=True,
    )
    export >> load
