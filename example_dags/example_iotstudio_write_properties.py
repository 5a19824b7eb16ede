"""Set properties of devices.

Sets the temperature of one Thing through the connection `iotstudio_default`, and reads it back. When a value
was not stored, was clamped or was rounded, the task fails. With `only_changed=True` the task writes only
values that differ.

For thousands of devices use `writes` instead: a list of `{"thing_id": ..., "properties": {...}}`, or the path
of a file of such rows, such as `s3://aws_default@bucket/setpoints.jsonl`.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider.iotstudio.operators import IoTStudioWritePropertiesOperator

with DAG("iotstudio_write_properties", schedule=None, tags=["iotstudio"], doc_md=__doc__) as dag:
    IoTStudioWritePropertiesOperator(
        task_id="set_temperature",
        thing_id="01GQ2E9M2Y45BX9EW0F2BM032Q",
        properties={"temperature": 17.3},
    )
