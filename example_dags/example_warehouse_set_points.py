"""Set the devices' set points from a query.

Each row names a Thing, and each further column is one of its properties. NULL leaves a property alone. Only
values that differ are written, and each one is read back: when a value was not stored, was clamped or was
rounded, the task fails.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider.iotstudio.operators import IoTStudioWritePropertiesOperator

RETRIES = {"retries": 3, "retry_delay": timedelta(minutes=1)}
SET_POINTS = "SELECT thing_id, setpoint, mode FROM twin.set_points"

with DAG(
    "warehouse_set_points", schedule=None, default_args=RETRIES, tags=["warehouse"], doc_md=__doc__
) as dag:
    IoTStudioWritePropertiesOperator(
        task_id="set_devices", sql=SET_POINTS, sql_conn_id="warehouse", only_changed=True
    )
