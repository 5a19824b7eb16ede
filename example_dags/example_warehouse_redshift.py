"""Load an export into Amazon Redshift, with Redshift's own operator.

`SqlLoadOperator` writes to PostgreSQL, DuckDB, SQLite and their like. The big warehouses read files from
object storage faster than any client can send rows: export Parquet to the bucket, and let their own operator
copy it. The same pattern holds for Snowflake (`CopyFromExternalStageToSnowflakeOperator`), BigQuery
(`GCSToBigQueryOperator`) and Databricks (`DatabricksCopyIntoOperator`).

The export is complete or not there at all, so that no half file is copied. Each run has a folder of its own.
"""

from __future__ import annotations

from airflow.providers.amazon.aws.transfers.s3_to_redshift import S3ToRedshiftOperator
from airflow.sdk import DAG

from airflow_provider.amigocloud.operators import AmigoCloudExportOperator

BUCKET = "twin"
KEY = "assets/{{ dag_run.run_after | ts_nodash }}/assets.parquet"

with DAG("warehouse_redshift", schedule=None, tags=["warehouse"], doc_md=__doc__) as dag:
    export = AmigoCloudExportOperator(
        task_id="export", dataset=2001, output_path=f"s3://aws_default@{BUCKET}/{KEY}"
    )
    load = S3ToRedshiftOperator(
        task_id="load",
        s3_bucket=BUCKET,
        s3_key=KEY,
        schema="twin",
        table="assets",
        redshift_conn_id="redshift_default",
        copy_options=["FORMAT AS PARQUET"],
        method="UPSERT",
        upsert_keys=["amigo_id"],
    )
    export >> load
