"""The vendor's own client, iots 0.5.0: one Thing after another."""

from iots import API


def run(host, login, password, space, uids, value, **_):
    api = API(host=host).set_credentials(login, password, ["thing"])
    for uid in uids:
        api.spaces(space).things(uid).properties().update({"setpoint": value})
    return {"written": len(uids)}
