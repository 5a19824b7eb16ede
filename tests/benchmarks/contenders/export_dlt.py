"""dlt's source for REST APIs, into JSON Lines."""

import dlt
from dlt.sources.rest_api import rest_api_source


def run(folder, host, project, token, dataset, page, **_):
    endpoint = {
        "path": "sql",
        "params": {"query": f"SELECT * FROM dataset_{dataset}", "limit": page, "token": token},
        "data_selector": "data",
        "paginator": {"type": "json_link", "next_url_path": "next"},
    }
    resources = [{"name": "assets", "endpoint": endpoint}]
    source = rest_api_source({"client": {"base_url": f"{host}/{project}/"}, "resources": resources})
    files = dlt.destinations.filesystem(f"{folder}/dlt")
    pipeline = dlt.pipeline(
        "contender", destination=files, dataset_name="twin", pipelines_dir=f"{folder}/dlt_work"
    )
    pipeline.run(source, loader_file_format="jsonl", write_disposition="replace")
    return {"rows": pipeline.last_trace.last_normalize_info.row_counts["assets"]}
