"""Send a table to LeanIX as fact sheets, whatever its columns are.

The mapping says which column is the id, and which ones are the fields of the nested data. A column that is
not sent is named in `ignore`, so that a new column of the table is noticed. Instead of a list, `content` may
be a file, a folder or a wildcard, or `sql` a query.

All rows are checked before the first request. When the worker dies, the retry resumes the same run. When the
service skips items, the task fails, and the error names them.
"""

from __future__ import annotations

from airflow.sdk import DAG

from airflow_provider.leanix.operators import LeanIXRunOperator

ROWS = [
    {"asset_no": "it-0001", "label": "Platform 01", "since": "2024-05-01", "remark": "old rack"},
    {"asset_no": "it-0100", "label": "Message broker", "since": None, "remark": None},
]

with DAG("leanix_table", schedule=None, tags=["leanix"], doc_md=__doc__) as dag:
    LeanIXRunOperator(
        task_id="send",
        connector_type="cmdb",
        connector_id="campus",
        connector_version="1.0.0",
        processing_direction="inbound",
        content=ROWS,
        mapping={
            "type": "ITComponent",
            "id": "asset_no",
            "data": {"name": "label", "lifecycle": {"active": "since"}},
        },
        ignore=["remark"],
        deferrable=True,
    )
