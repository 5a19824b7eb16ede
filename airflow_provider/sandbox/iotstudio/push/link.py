"""Link to an MQTT broker: values that the API stores are published, and published values are stored.

Topics and payloads are those of the vendor's firmware examples. Whether the service publishes a value that a
device has published is not documented; here it does not.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit

from airflow_provider.sandbox.service import StartError

CONNECT_SECONDS = 10.0

Store = Callable[[str, str, Any], None]
"""Stores the values that were published for a Thing: gets the space, the Thing's id and the payload."""


_PORTS = {"mqtt": 1883, "mqtts": 8883}


def _read_address(address: str) -> tuple[SplitResult, int]:
    """Return the parts of a broker's address, and its port; no error repeats its password."""
    try:
        parts = urlsplit(address)
        port = parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in _PORTS or not parts.hostname or not port:
        form = "mqtt://USER:PASSWORD@HOST:PORT, or mqtts://, with special characters in percent-encoding"
        raise StartError(f"IoT Studio's broker: the address must be {form}")
    return parts, port


class BrokerLink:
    """Connection to a broker, which is reopened until it is closed.

    :param address: ``mqtt://user:password@host:port``, or ``mqtts://``.
    :param store: see :data:`Store`.
    :raises StartError: when the broker cannot be used.
    """

    def __init__(self, address: str, store: Store) -> None:
        try:
            from paho.mqtt.client import Client
            from paho.mqtt.enums import CallbackAPIVersion
        except ImportError:
            text = "A broker needs paho-mqtt: pip install 'airflow-provider-digital-twin[mqtt]'"
            raise StartError(text) from None
        parts, port = _read_address(address)
        self.url = f"{parts.scheme}://{parts.hostname}:{port}"
        self.username, self.password = unquote(parts.username or ""), unquote(parts.password or "")
        self.stored = 0
        self._store = store
        self._ready = threading.Event()
        self._client: Any = Client(CallbackAPIVersion.VERSION2)
        self._client.username_pw_set(self.username, self.password)
        if parts.scheme == "mqtts":
            self._client.tls_set()
        self._client.reconnect_delay_set(1, 5)
        self._client.on_connect = lambda client, *_: client.subscribe("spaces/+/things/+/properties", 1)
        self._client.on_subscribe = lambda *_: self._ready.set()
        self._client.on_message = self._receive
        try:
            self._client.connect(str(parts.hostname), port)
        except OSError as error:
            raise StartError(f"The broker {self.url} cannot be reached: {error}") from None
        self._client.loop_start()
        if not self._ready.wait(CONNECT_SECONDS):
            self.close()
            raise StartError(f"The broker {self.url} does not accept the connection")

    def publish(self, space: str, thing: str, values: Mapping[str, Any]) -> None:
        """Publish stored values, each to the topic of its property; without a connection they are lost.

        :param space: id of the space.
        :param thing: id of the Thing.
        :param values: the values by name.
        """
        for name, value in values.items():
            topic = f"spaces/{space}/things/{thing}/properties/{quote(name, safe='')}"
            self._client.publish(topic, json.dumps({name: value}))

    def _receive(self, client: Any, data: Any, message: Any) -> None:
        _, space, _, thing, _ = message.topic.split("/")
        try:
            values = json.loads(message.payload)
        except (ValueError, RecursionError):
            values = None
        self._store(space, thing, values)
        self.stored += 1

    def close(self) -> None:
        """Close the connection."""
        self._client.disconnect()
        self._client.loop_stop()
