"""Lower bound: as many threads with pooled connections, which check nothing."""

from concurrent.futures import ThreadPoolExecutor

import requests
from requests.adapters import HTTPAdapter


def run(host, login, password, space, uids, value, threads, **_):
    given = {"grant_type": "client_credentials", "client_id": login, "client_secret": password}
    with requests.Session() as session, ThreadPoolExecutor(threads) as pool:
        session.mount("http://", HTTPAdapter(pool_maxsize=threads))
        token = session.post(f"{host}/oauth2/token", data={**given, "scope": "thing"}, timeout=60).json()
        session.headers["Authorization"] = f"Bearer {token['access_token']}"

        def put(uid):
            url = f"{host}/spaces/{space}/things/{uid}/properties"
            session.put(url, json={"setpoint": value}, timeout=60).raise_for_status()

        list(pool.map(put, uids))
    return {"written": len(uids)}
