"""The broker of a connection, by its extras whose names begin with ``mqtt_``."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from airflow_provider.core.push.broker import Broker
from airflow_provider.core.push.topics import TopicPattern, topic_problems
from airflow_provider.errors import InputError

if TYPE_CHECKING:
    from airflow_provider.core.connection import Settings

TOPICS = (
    "spaces/{space}/things/{thing_id}/properties",
    "spaces/{space}/things/{thing_id}/properties/+",
)
"""Topics of property values: what devices publish, and what the service publishes (in the vendor's firmware
examples)."""

NAMES = {"space": False, "category": False, "thing_id": True, "property": False}
"""Names that topics may hold; True for a name that they must hold."""


def checked_topics(broker: Broker) -> list[str]:
    """Return the filters that a test of the connection subscribes to: not those with a watcher's category."""
    known = {"category": ""}
    patterns = [TopicPattern(template, {**known, **broker.names}) for template in broker.topics]
    return sorted({pattern.subscription for pattern in patterns if not pattern.problem})


def broker_of(settings: Settings) -> Broker:
    """Return the broker of a connection.

    :param settings: the connection.
    :raises InputError: with all that is missing or wrong.
    """
    extras = settings.extras
    address, username, password = (extras[f"mqtt_{name}"] for name in ("url", "username", "password"))
    topics = extras["mqtt_topics"] or TOPICS
    problems = [] if address else ["the extra 'mqtt_url' is missing: the address of the MQTT broker"]
    if password and not username:
        problems.append("the extra 'mqtt_password' needs the extra 'mqtt_username'")
    problems += [
        f"extra 'mqtt_topics': {problem}" for topic in topics for problem in topic_problems(topic, NAMES)
    ]
    if problems:
        raise InputError(problems, f"connection '{settings.conn_id}'")
    parts = urlsplit(address)
    return Broker(
        address,
        str(parts.hostname),
        int(parts.port or 0),
        tls=parts.scheme == "mqtts",
        verify=settings.verify,
        username=username or "",
        password=password or "",
        connect_timeout=settings.timeout[0],
        topics=tuple(topics),
        names={"space": extras["space"]},
    )
