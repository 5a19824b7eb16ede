"""Mosquitto, an MQTT broker: the machine's or Debian's, on a port and in a folder of its own.

Debian's package is unpacked into ``.mosquitto``, which needs no root and starts no service of the machine.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dev import debian_packages
from dev.processes import Started, free_ports

ROOT = Path(__file__).resolve().parents[1] / ".mosquitto"
START_SECONDS = 20.0

_ITERATIONS = 101
_SALT = b"tests-only--"
"""Twelve bytes, as the plugin expects."""


class NoMosquittoError(RuntimeError):
    """The broker's package cannot be downloaded, or the broker does not start."""


def find_program() -> tuple[Path, Path]:
    """Return the paths of the broker and of its plugin for users; the package is downloaded if needed.

    :raises NoMosquittoError: when that fails.
    """
    installed = shutil.which("mosquitto")
    try:
        if not installed:
            debian_packages.unpack_once("mosquitto", ROOT)
    except debian_packages.NoPackageError as error:
        raise NoMosquittoError(f"the package mosquitto cannot be downloaded: {error}") from None
    program = Path(installed) if installed else ROOT / "usr" / "sbin" / "mosquitto"
    plugins = sorted(program.parents[1].glob("lib/*/mosquitto_dynamic_security.so"))
    if not plugins:
        raise NoMosquittoError(f"{program} has no plugin for users")
    return program, plugins[0]


@dataclass(frozen=True)
class User:
    """A user of the broker.

    :param name: user name.
    :param password: password.
    :param publish: topics that it may publish to.
    :param subscribe: topics that it may subscribe to; another subscription is refused.
    """

    name: str
    password: str
    publish: Sequence[str] = ()
    subscribe: Sequence[str] = ()


class MosquittoServer:
    """A broker on loopback that accepts its users only.

    :param folder: its working folder, which takes its log.
    :param users: its users.
    :param tls: further lines of its configuration, such as those of a certificate.
    """

    def __init__(self, folder: Path, users: Sequence[User], tls: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.users = list(users)
        self.log = folder / "mosquitto.log"
        (self.port,) = free_ports(1)
        self._tls = dict(tls or {})
        self.started: Started | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"{'mqtts' if self._tls else 'mqtt'}://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the broker, and wait until it accepts connections.

        :raises NoMosquittoError: when it does not start.
        """
        program, plugin = find_program()
        (self.folder / "users.json").write_text(json.dumps(_users_file(self.users)))
        lines = {
            "listener": f"{self.port} 127.0.0.1",
            "allow_anonymous": "false",
            "plugin": str(plugin),
            "plugin_opt_config_file": str(self.folder / "users.json"),
            "persistence": "false",
            "max_queued_messages": "0",
            **self._tls,
        }
        if not os.geteuid():
            lines["user"] = "root"
        config = self.folder / "mosquitto.conf"
        config.write_text("".join(f"{name} {value}\n" for name, value in lines.items()))
        env = {**os.environ, "LD_LIBRARY_PATH": debian_packages.libraries(ROOT)}
        self.started = Started.run([str(program), "-c", str(config)], env, self.log, self.folder)
        deadline = time.monotonic() + START_SECONDS
        while not self._accepts():
            if time.monotonic() > deadline or not self.started.alive():
                self.kill()
                raise NoMosquittoError(f"mosquitto does not start: {self.log.read_text()[-500:]}")
            time.sleep(0.02)

    def _accepts(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def kill(self) -> None:
        """Kill the broker as a crash does, by its process id; it may be started once more."""
        if self.started is not None:
            self.started.stop(0, 0)
            self.started = None

    stop = kill


def _users_file(users: Sequence[User]) -> dict[str, object]:
    """Return the file of the plugin for users."""
    clients, roles = [], []
    for user in users:
        data = hashlib.pbkdf2_hmac("sha512", user.password.encode(), _SALT, _ITERATIONS)
        clients.append(
            {
                "username": user.name,
                "salt": base64.b64encode(_SALT).decode(),
                "password": base64.b64encode(data).decode(),
                "iterations": _ITERATIONS,
                "roles": [{"rolename": user.name}],
            }
        )
        acls = [("publishClientSend", topic) for topic in user.publish]
        acls += [("subscribePattern", topic) for topic in user.subscribe]
        roles.append(
            {
                "rolename": user.name,
                "acls": [{"acltype": kind, "topic": topic, "allow": True} for kind, topic in acls],
            }
        )
    access = {
        "publishClientSend": False,
        "publishClientReceive": True,
        "subscribe": False,
        "unsubscribe": True,
    }
    return {"defaultACLAccess": access, "clients": clients, "roles": roles, "groups": []}


if __name__ == "__main__":
    try:
        print(find_program()[0])
    except NoMosquittoError as problem:
        sys.exit(f"!!!! NOT TESTED with an MQTT broker: {problem} !!!!")
