"""The vendor's Python tutorial: one script per run, which polls its status every few seconds."""

import time

import requests


def run(host, password, run_ids, interval, **_):
    (run_id,) = run_ids
    base = f"{host}/services"
    login = {"auth": ("apitoken", password), "data": {"grant_type": "client_credentials"}, "timeout": 60}
    token = requests.post(f"{base}/mtm/v1/oauth2/token", **login).json()["access_token"]
    url = f"{base}/integration-api/v1/synchronizationRuns/{run_id}/status"
    while True:
        status = requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=60).json()["status"]
        if status not in {"PENDING", "IN_PROGRESS"}:
            return {"finished": int(status == "FINISHED")}
        time.sleep(interval)
