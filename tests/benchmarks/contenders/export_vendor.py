"""The vendor's own client, amigocloud 1.2.5: its cursor, as its README shows it."""

import json

from amigocloud import AmigoCloud


def run(folder, host, project, token, dataset, page, **_):
    client = AmigoCloud(
        token=token, project_url=project, base_url=host.removesuffix("/api/v1"), use_websockets=False
    )
    rows = 0
    with open(f"{folder}/vendor.jsonl", "w") as file:
        for row in client.get_cursor("sql", {"query": f"SELECT * FROM dataset_{dataset}", "limit": page}):
            file.write(json.dumps(row) + "\n")
            rows += 1
    return {"rows": rows}
