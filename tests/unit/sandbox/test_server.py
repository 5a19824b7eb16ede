"""The sandbox server: origins, counters, reset, control routes, the command."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest
import requests
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket

from airflow_provider.sandbox.__main__ import main
from airflow_provider.sandbox.server import Sandbox
from airflow_provider.sandbox.service import Service, StartError
from tests.support.sandbox_command import command
from tests.support.wait import until


class EchoService(Service):
    """A service that returns path and parameters of requests."""

    name = "echo"

    def reset(self) -> None:
        self.calls = 0

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/any/{rest:path}", self.say),
            Route("/things/{thing}", self.say),
            Route("/read", self.read, methods=["POST"]),
            Mount("/inner", routes=[Route("/things/{thing:int}/", self.say)]),
        ]

    def root_routes(self) -> Sequence[BaseRoute]:
        return [WebSocketRoute("/socket", self.talk)]

    def storage_routes(self) -> Sequence[BaseRoute]:
        return [Route("/blobs/{name}", self.blob)]

    def connection(self) -> Mapping[str, Any]:
        return {"conn_type": self.name, "host": self.base_url}

    async def say(self, request: Request) -> JSONResponse:
        self.calls += 1
        return JSONResponse({"path": request.url.path, "params": request.path_params})

    async def read(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse(await request.body())

    async def blob(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.path_params["name"])

    async def talk(self, socket: WebSocket) -> None:
        await socket.accept()
        await socket.send_text(await socket.receive_text())
        await socket.close()


@pytest.fixture(scope="module")
def server() -> Iterator[Sandbox]:
    with Sandbox(kinds=[EchoService]) as sandbox:
        yield sandbox


@pytest.fixture
def echo(server: Sandbox) -> Sandbox:
    server.reset()
    return server


def get(sandbox: Sandbox, path: str) -> requests.Response:
    return requests.get(sandbox.url + path, timeout=5)


def test_a_service_answers_below_its_prefix(echo: Sandbox) -> None:
    assert get(echo, "/echo/things/7").json() == {"path": "/echo/things/7", "params": {"thing": "7"}}


def test_a_trailing_slash_too_many_or_too_few_is_no_matter(echo: Sandbox) -> None:
    assert get(echo, "/echo/things/7/").json()["params"] == {"thing": "7"}
    assert get(echo, "/echo/inner/things/7").json()["params"] == {"thing": 7}


def test_a_quoted_slash_stays_inside_its_segment(echo: Sandbox) -> None:
    assert get(echo, "/echo/things/a%2Fb%25").json()["params"] == {"thing": "a/b%"}


def test_unknown_paths_and_methods_are_refused(echo: Sandbox) -> None:
    assert get(echo, "/echo/nothing").status_code == 404
    assert requests.delete(f"{echo.url}/echo/things/7", timeout=5).status_code == 405


def test_storage_is_an_origin_of_its_own(echo: Sandbox) -> None:
    assert echo.around.storage_origin != echo.url
    assert requests.get(f"{echo.around.storage_origin}/blobs/x", timeout=5).text == "x"
    assert get(echo, "/blobs/x").status_code == 404


def test_requests_are_counted_by_route_template(echo: Sandbox) -> None:
    get(echo, "/echo/things/1")
    get(echo, "/echo/things/2/")
    get(echo, "/echo/inner/things/3")
    get(echo, "/echo/nothing")
    assert dict(echo.counters.requests) == {
        "echo GET /things/{thing}": 2,
        "echo GET /inner/things/{thing:int}/": 1,
        "echo GET (no such route)": 1,
    }
    assert echo.counters.peak_in_flight == 1


def test_a_kept_alive_connection_is_counted_once(echo: Sandbox) -> None:
    with requests.Session() as session:
        for _ in range(3):
            session.get(f"{echo.url}/echo/things/1", timeout=5)
    assert echo.counters.connections == 1


def test_a_client_that_leaves_in_the_middle_is_no_error_of_the_sandbox(
    echo: Sandbox, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.create_connection(("127.0.0.1", int(echo.url.rpartition(":")[2])), timeout=5) as client:
        client.sendall(b"POST /echo/read HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhal")
        until(lambda: echo.counters.in_flight == 1)
    until(lambda: echo.counters.in_flight == 0)
    assert get(echo, "/echo/things/7").status_code == 200
    assert [record for record in caplog.records if "Exception" in record.getMessage()] == []


def test_reset_puts_services_faults_counters_and_clock_back(echo: Sandbox) -> None:
    get(echo, "/echo/things/1")
    echo.faults.add("status", times=None)
    before = echo.clock.now()
    echo.clock.advance(10_000)
    echo.reset()
    assert echo.echo.calls == 0
    assert echo.counters.total() == 0
    assert echo.clock.now() < before + 5_000
    assert get(echo, "/echo/things/1").status_code == 200


@pytest.mark.parametrize("headers", [{"Origin": "http://evil.example"}, {"Host": "evil.example"}])
def test_no_web_page_controls_it(echo: Sandbox, headers: dict[str, str]) -> None:
    control = f"{echo.url}/_sandbox"
    for method, path in (("GET", "connections"), ("POST", "reset"), ("POST", "faults")):
        answer = requests.request(
            method, f"{control}/{path}", headers=headers, data='{"kind":"html"}', timeout=5
        )
        assert answer.status_code == 403
    assert echo.faults.active() == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *(
            ("faults", body)
            for body in (b"x", b"null", b"[1]", b'{"kind":"html","path":"("}', b'{"kind":"x"}')
        ),
        *(("clock", body) for body in (b"{}", b'{"advance":"soon"}')),
    ],
)
def test_an_invalid_control_request_is_described(echo: Sandbox, path: str, body: bytes) -> None:
    answer = requests.post(f"{echo.url}/_sandbox/{path}", data=body, timeout=5)
    assert answer.status_code == 400
    assert "not understood" in answer.json()["detail"]


def test_another_process_can_control_it(echo: Sandbox) -> None:
    control = f"{echo.url}/_sandbox"
    added = requests.post(f"{control}/faults", json={"kind": "status", "status": 418}, timeout=5)
    assert added.status_code == 201
    assert get(echo, "/echo/things/1").status_code == 418
    assert requests.get(f"{control}/faults", timeout=5).json()[0]["hits"] == 1
    assert requests.get(f"{control}/counters", timeout=5).json()["requests"] == {
        "echo GET /things/{thing}": 1
    }
    before = echo.clock.now()
    assert requests.post(f"{control}/clock", json={"advance": 600}, timeout=5).json()["now"] >= before + 600
    assert requests.post(f"{control}/faults", json={"kind": "nonsense"}, timeout=5).status_code == 400
    assert requests.post(f"{control}/reset", timeout=5).status_code == 204
    assert requests.get(f"{control}/faults", timeout=5).json() == []


def test_control_requests_are_not_counted(echo: Sandbox) -> None:
    requests.get(f"{echo.url}/_sandbox/counters", timeout=5)
    assert echo.counters.total() == 0


def test_a_websocket_works(echo: Sandbox) -> None:
    client = pytest.importorskip("websockets.sync.client")
    with client.connect(echo.url.replace("http", "ws") + "/socket") as connection:
        connection.send("hello")
        assert connection.recv() == "hello"
    assert echo.counters.requests["echo WEBSOCKET /socket"] == 1


def test_a_websocket_may_ask_to_be_kept_alive_in_a_header_of_its_own(echo: Sandbox) -> None:
    client = pytest.importorskip("websockets.sync.client")
    more = {"Connection": "keep-alive"}
    with client.connect(echo.url.replace("http", "ws") + "/socket", additional_headers=more) as connection:
        connection.send("hello")
        assert connection.recv() == "hello"


def test_connections_are_what_airflow_reads_from_the_environment(echo: Sandbox) -> None:
    assert json.loads(echo.connections["echo_default"]) == {"conn_type": "echo", "host": f"{echo.url}/echo"}


def test_stopping_closes_both_ports() -> None:
    with Sandbox(kinds=[EchoService]) as sandbox:
        ports = [int(url.rsplit(":", 1)[1]) for url in (sandbox.url, sandbox.around.storage_origin)]
        with requests.Session() as session:
            session.get(f"{sandbox.url}/echo/things/1", timeout=5)
            sandbox.stop()
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=1)


def test_a_server_that_has_ended_by_itself_is_a_clear_error_with_its_cause() -> None:
    def end() -> None:
        raise SystemExit("enough")

    sandbox = Sandbox(kinds=[EchoService]).start()
    with pytest.raises(SystemExit):
        sandbox.around.on_loop(end)
    sandbox.join()
    for use in (sandbox.reset, sandbox.cut_connections, sandbox.stop):
        with pytest.raises(RuntimeError, match="the sandbox's server has ended") as caught:
            use()
        assert isinstance(caught.value.__cause__, SystemExit)
    sandbox.stop()


def test_the_command_prints_connections_and_ends_cleanly_on_sigterm() -> None:
    with command("--port", "0") as process:
        assert process.stdout is not None
        url = process.stdout.readline().split()[3].rstrip(",")
        assert requests.get(f"{url}/_sandbox/counters", timeout=5).status_code == 200
        process.send_signal(signal.SIGTERM)
        # communicate() would miss the lines that readline() has read ahead.
        exported = [line.split("=")[0] for line in process.stdout]
        _, errors = process.communicate(timeout=10)
    assert process.returncode == 0, errors
    vendors = ("AMIGOCLOUD", "IOTSTUDIO", "LEANIX", "MAPSINDOORS")
    assert sorted(exported) == [f"export AIRFLOW_CONN_{vendor}_DEFAULT" for vendor in vendors]


def test_the_command_names_a_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with command("--port", str(port)) as process:
            _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert f"Port {port} is taken" in errors
    assert "Traceback" not in errors


def test_the_command_names_a_taken_port_of_the_storage() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with command("--port", "0", "--storage-port", str(port)) as process:
            _, errors = process.communicate(timeout=10)
    assert process.returncode == 1
    assert errors == (
        f"Port {port} is taken: choose another port with --storage-port, or 0 for a free port.\n"
    )


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--port", "65536", "must be a whole number from 0 to 65535, not '65536'"),
        ("--port", "-1", "must be a whole number from 0 to 65535, not '-1'"),
        ("--storage-port", "http", "must be a whole number from 0 to 65535, not 'http'"),
        ("--processes", "0", "must be a whole number from 1 to 64, not '0'"),
        ("--processes", "two", "must be a whole number from 1 to 64, not 'two'"),
        ("--clock-rate", "-1", "must be a number from 0 to 10000, not '-1'"),
        ("--clock-rate", "nan", "must be a number from 0 to 10000, not 'nan'"),
    ],
)
def test_a_wrong_argument_of_the_command_is_named(option: str, value: str, words: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as ended:
        main([f"{option}={value}"])
    assert ended.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"error: argument {option}: {words}")


@pytest.mark.parametrize(
    "address", ["http://u:s3cret@host", "mqtt://u:s3cret@host:port", "s3cret", "mqtt://", "mqtt://[s3cret"]
)
def test_an_address_that_is_no_brokers_ends_the_start(address: str) -> None:
    with pytest.raises(StartError, match="must be mqtt://USER:PASSWORD@HOST:PORT, or mqtts://") as caught:
        Sandbox(iot_mqtt=address).start()
    assert "s3cret" not in str(caught.value)


def test_importing_the_package_loads_no_server() -> None:
    code = "import sys, airflow_provider.sandbox; print('starlette' in sys.modules, 'uvicorn' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_all_four_services_run_by_default() -> None:
    with Sandbox() as sandbox:
        names = {"mapsindoors", "amigocloud", "iotstudio", "leanix"}
        assert set(sandbox.services) == names
        assert {json.loads(text)["conn_type"] for text in sandbox.connections.values()} == names
        assert sandbox.leanix.base_url == f"{sandbox.url}/leanix"


def test_a_service_of_a_sandbox_that_does_not_run_is_a_clear_error() -> None:
    with pytest.raises(AttributeError, match="no 'leanix': start the sandbox first"):
        _ = Sandbox().leanix
