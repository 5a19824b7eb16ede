"""Leaks of credentials and misleading links, each tested over TCP."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from airflow_provider import errors
from airflow_provider.core.hook import ApiHook
from airflow_provider.core.http.call import Call
from airflow_provider.core.http.reply import Reply
from airflow_provider.core.http.retry import RetryLimits
from airflow_provider.core.redaction import Redactor, encodings
from airflow_provider.core.trigger_events import error_event
from tests.support.recording_host import RecordingHost
from tests.unit.core.conftest import SECRET

PLAIN = 'R:s3cr3t+&%/"<x'
READ = Call[Any]("GET", "closed/thing")
Send = Callable[[ApiHook, Call[Any]], Any]


@pytest.fixture
def foreign() -> Iterator[RecordingHost]:
    listener = RecordingHost()
    yield listener
    listener.close()


@pytest.fixture(params=["sync", "async"])
def send(request: pytest.FixtureRequest) -> Send:
    if request.param == "sync":
        return lambda hook, call: hook.send(call)
    return lambda hook, call: asyncio.run(hook.asend(call))


@pytest.fixture(params=["query", "header", "minted"])
def hook(request: pytest.FixtureRequest, connect: Any) -> ApiHook:
    """Return a hook with each kind of credential, and with few attempts."""
    password = SECRET if request.param == "minted" else PLAIN
    made: ApiHook = connect({"mode": request.param}, password=password)
    made.retry_limits = RetryLimits(attempts=2, base=0.001)
    return made


def found_in(text: str, *tokens: str) -> list[str]:
    """Return the encodings of the secrets that a text holds."""
    secrets = {SECRET, PLAIN, "tok/0+x", *tokens}
    return [one for secret in secrets for one in encodings(secret) if one in text]


def everything(error: BaseException) -> str:
    """Return all texts of an error, of its causes and of its context."""
    out, waiting, done = "", [error], set()
    while waiting:
        one = waiting.pop()
        if id(one) in done:
            continue
        done.add(id(one))
        out += f"{one} {one!r} {vars(one)} {getattr(one, '__notes__', '')}\n"
        waiting += [inner for inner in (one.__cause__, one.__context__) if inner is not None]
    return out


# -- links to other hosts


TRICKS = [
    "http://{foreign}/x",
    "http://{foreign}\\@{own}/x",
    "http://{foreign}\\\\@{own}/x",
    "http://{own}@{foreign}/x",
    "http://{foreign}#@{own}/x",
    "http://{foreign}?@{own}/x",
    "http://{foreign}/@{own}/x",
    "http:\\\\{foreign}\\@{own}/x",
    "http://{own}:@{foreign}/x",
    "http://{own}\t@{foreign}/x",
    "\x01http://{foreign}/x",
    "http://{own}\r\n@{foreign}/x",
    "HTTP://{foreign}\\@{own}/x",
    "http://{own}.evil.example/x",
    "http://{own}\uff0eevil.example/x",
    "http://{own}:99999/x",
    "http://[{own}/x",
    "//{foreign}\\@{own}/x",
]


@pytest.mark.parametrize("trick", TRICKS)
def test_no_form_of_a_link_leads_credentials_to_another_host(
    trick: str, send: Send, hook: ApiHook, echo: Any, foreign: RecordingHost
) -> None:
    own = echo.url.removeprefix("http://")
    link = trick.format(own=own, foreign=foreign.address)
    caught = None
    try:
        send(hook, Call("GET", link))
    except errors.ProviderError as error:
        caught = error
    assert foreign.seen == b""
    assert caught is None or not found_in(everything(caught))


@pytest.mark.parametrize("trick", TRICKS)
def test_no_form_of_a_link_gets_a_download_past_the_allowed_hosts(
    trick: str, connect: Any, echo: Any, foreign: RecordingHost
) -> None:
    hook = connect({"allowed_hosts": "files.example.com"}, host="https://service.example.com")
    for own in ("files.example.com", "service.example.com"):
        link = trick.format(own=own, foreign=foreign.address)
        with pytest.raises(errors.InputError):
            hook.transport.endpoint.check_download(link)
        with pytest.raises(errors.InputError):
            hook.transport.endpoint.check_download(link.replace("http:", "https:"))


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:{port}/x",
        "http://localhost:{port}/x",
        "http://[::1]:{port}/x",
        "https://127.0.0.1:{port}/x",
        "http://127.1:{port}/x",
        "http://2130706433:{port}/x",
        "http://0x7f.1:{port}/x",
        "http://0.0.0.0:{port}/x",
        "http://[::ffff:127.0.0.1]:{port}/x",
        "https://2130706433:{port}/x",
    ],
)
def test_a_remote_service_cannot_make_the_worker_read_its_own_ports(
    url: str, connect: Any, foreign: RecordingHost
) -> None:
    hook = connect(host="https://service.example.com")
    with pytest.raises(errors.InputError), hook.download(url.format(port=foreign.port)):
        pass
    with pytest.raises(errors.InputError):
        hook.upload(url.format(port=foreign.port), b"rows", {})
    assert foreign.seen == b""


def test_a_user_name_in_a_download_link_is_refused(connect: Any, echo: Any) -> None:
    url = echo.url.replace("http://", "http://me:hush-hush@") + "/echo/open/file"
    with pytest.raises(errors.InputError) as caught, connect().download(url):
        pass
    assert "hush-hush" not in everything(caught.value)
    assert echo.counters.total() == 0


def test_a_download_that_redirects_is_not_followed(connect: Any, echo: Any, foreign: RecordingHost) -> None:
    echo.faults.add("redirect", path="open/file", location=f"http://{foreign.address}/")
    with (
        pytest.raises(errors.RequestRejectedError),
        connect().download(f"{echo.url}/echo/open/file?sig=hush-hush-hush"),
    ):
        pass
    assert foreign.seen == b""


# -- misleading connections


@pytest.mark.parametrize(
    "host",
    [
        "https://good.example\r\nX-Evil: 1",
        "https://good.example\t.evil.example",
        "https://evil.example\\@good.example",
        "https://evil.example\\.good.example",
        "https://good example",
        "https://user@good.example",
        "http://127.0.0.1.evil.example",
        "http://127.1",
        "http://0.0.0.0",
        "https://good.example:99999",
        "https://good.example:8x",
        "https://good.example\uff20evil.example",
        "https://[good.example",
    ],
)
def test_a_host_that_can_be_read_in_two_ways_is_refused(
    host: str, send: Send, connect: Any, echo: Any
) -> None:
    with pytest.raises(errors.InputError, match="host"):
        send(connect(host=host), READ)


def test_a_ca_bundle_that_is_not_there_is_named(send: Send, connect: Any, echo: Any) -> None:
    hook = connect({"verify": "/no/such/bundle.pem"}, host="https://127.0.0.1:1")
    with pytest.raises(errors.InputError, match="verify"):
        send(hook, Call("GET", "x", authenticated=False))


# -- a service that repeats the secrets it was sent


ECHOES: dict[str, Callable[[str], Any]] = {
    "plain": lambda secret: f"unknown {secret}!",
    "JSON": lambda secret: {"detail": f"unknown {secret}!"},
    "JSON with escaped slashes": lambda secret: json.dumps({"detail": secret}).replace("/", "\\/"),
    "JSON in escapes": lambda secret: '{"detail": "' + "".join(f"\\u{ord(one):04x}" for one in secret) + '"}',
    "as a key": lambda secret: {"errors": {secret: ["is bad"]}},
    "code": lambda secret: {"error_code": secret, "detail": "bad"},
    "HTML": lambda secret: (
        "<html><title>No "
        + secret.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
        + "</title></html>"
    ),
    "HTML with numbers": lambda secret: (
        "<html><title>" + "".join(f"&#{ord(one)};" for one in secret) + "</title></html>"
    ),
    "at the cut": lambda secret: {"detail": "x" * 490 + secret + "x" * 100},
    "at the cut of a text": lambda secret: "x" * 495 + secret + "x" * 100,
    "a code at the cut": lambda secret: {"error_code": "x" * 93 + secret, "detail": "bad"},
}


@pytest.mark.parametrize("status", [400, 503])
@pytest.mark.parametrize("form", ECHOES)
def test_an_error_redacts_secrets_that_the_service_repeats(
    form: str, status: int, send: Send, hook: ApiHook, echo: Any, logged: Callable[[], str]
) -> None:
    for secret in (PLAIN, SECRET):
        echo.faults.clear()
        body = ECHOES[form](secret)
        echo.faults.add("status", path="closed", status=status, body=body, times=None)
        hook.settings.secrets  # noqa: B018
        with pytest.raises(errors.ProviderError) as caught:
            send(hook, READ)
        text = everything(caught.value) + json.dumps(error_event(caught.value)) + logged()
        if secret not in hook.settings.secrets:
            continue
        assert not found_in(text)
        assert "s3cr" not in text, "a part of the secret is left"


def test_a_reply_that_cannot_be_read_is_not_quoted(send: Send, hook: ApiHook, echo: Any) -> None:
    secret = hook.settings.password
    for wrong in (secret, "y" * 140 + secret):
        echo.faults.add("status", path="closed", status=200, body={"count": wrong}, times=2)
        with pytest.raises(errors.ServerError) as caught:
            send(hook, READ.with_reader(lambda reply: int(reply.json()["count"])))
        assert "s3cr" not in everything(caught.value)
        echo.faults.clear()


def test_a_reader_that_quotes_the_reply_leaks_nothing(send: Send, hook: ApiHook, echo: Any) -> None:
    secret = hook.settings.password

    def read(reply: Reply) -> Any:
        raise errors.RequestRejectedError(reply.status, "odd", f"odd reply {reply.json()['said']}")

    echo.faults.add("status", path="closed", status=200, body={"said": secret})
    with pytest.raises(errors.RequestRejectedError, match="odd reply") as caught:
        send(hook, READ.with_reader(read))
    assert not found_in(everything(caught.value))


def test_a_fetched_token_is_not_quoted_when_its_lifetime_is_invalid(
    send: Send, connect: Any, echo: Any
) -> None:
    body = {"access_token": "minted-s3cr3t", "expires_in": "minted-s3cr3t"}
    echo.faults.add("status", path="token", status=200, body=body, times=None)
    hook = connect()
    hook.retry_limits = RetryLimits(attempts=2, base=0.001)
    with pytest.raises(errors.ProviderError) as caught:
        send(hook, READ)
    assert not found_in(everything(caught.value), "minted-s3cr3t")


@pytest.mark.parametrize("status", [200, 301, 400, 503])
@pytest.mark.parametrize(
    "body",
    [
        [{"access_token": "minted-s3cr3t"}],
        '"minted-s3cr3t", "expires_in": 3600}',
        '<html><title>{"access_token": "minted-s3cr3t"}</title>',
        {"error": {"access_token": "minted-s3cr3t"}},
    ],
)
def test_a_token_is_not_quoted_from_a_reply_that_is_no_success(
    status: int, body: Any, send: Send, connect: Any, echo: Any
) -> None:
    echo.faults.add("status", path="token", status=status, body=body, times=None)
    hook = connect()
    hook.retry_limits = RetryLimits(attempts=2, base=0.001)
    with pytest.raises(errors.ProviderError) as caught:
        send(hook, READ)
    assert not found_in(everything(caught.value), "minted-s3cr3t")


def test_no_part_of_a_token_reply_is_quoted_as_the_title_of_a_page(
    send: Send, connect: Any, echo: Any
) -> None:
    body = '<html><title>oken": "minted-s3cr3t"</title>'
    echo.faults.add("status", path="token", status=200, body=body, times=None)
    with pytest.raises(errors.ProviderError, match="a web page instead") as caught:
        send(connect(), READ)
    assert not found_in(everything(caught.value), "minted-s3cr3t")


@pytest.mark.parametrize("where", ["http://{foreign}/{secret}/x", "http://{secret}.example/x"])
def test_a_link_that_is_refused_is_shown_without_the_secret_in_it(
    where: str, send: Send, connect: Any, echo: Any, foreign: RecordingHost
) -> None:
    hook = connect({"mode": "header"}, password="Plain-S3cr3t")
    link = where.format(foreign=foreign.address, secret="Plain-S3cr3t")
    with pytest.raises(errors.InputError) as caught:
        send(hook, Call("GET", link))
    hook.settings.extras  # noqa: B018
    with pytest.raises(errors.InputError) as refused:
        hook.transport.endpoint.check_download(link.replace("http:", "ftp:"))
    with pytest.raises(errors.InputError) as not_allowed:
        hook.transport.endpoint.check_download(
            link.replace("127.0.0.1", "a.example").replace("http", "https")
        )
    for error in (caught, refused, not_allowed):
        assert "s3cr3t" not in everything(error.value).lower()


@pytest.mark.parametrize("location", ["http://[bad", "http://\xff\xfe/x", "http://%zz/", "x" * 5000, ""])
def test_a_redirect_to_nowhere_is_a_refusal_like_any_redirect(
    location: str, send: Send, hook: ApiHook, echo: Any
) -> None:
    echo.faults.add("redirect", path="closed", location=location)
    with pytest.raises(errors.RequestRejectedError, match="redirect"):
        send(hook, READ)


# -- logs of the HTTP libraries


def test_no_logger_of_any_library_shows_a_credential(
    send: Send, hook: ApiHook, echo: Any, logged: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    secret = hook.settings.password
    for name in ("httpx", "httpcore", "urllib3"):
        caplog.set_level(logging.DEBUG, name)
    said = secret if secret.isascii() else "tok/0+x"
    headers = {"X-Said": said, "Set-Cookie": f"s={said}", "Location": f"http://e/?token={_quoted(said)}"}
    if said != secret:
        send(hook, READ)
    echo.faults.add("status", path="open", status=418, headers=headers, body={})
    with pytest.raises(errors.RequestRejectedError):
        send(hook, Call("GET", "open/thing"))
    send(hook, Call("GET", "open/thing", params={"q": secret}))
    send(hook, Call("GET", f"open/{_quoted(secret)}"))
    text = logged()
    assert "open/thing" in text, "the libraries logged nothing: the test proves nothing"
    assert not [one for one in encodings(said) | encodings(secret) if one in text]


def test_a_signed_link_is_in_no_log_line_with_any_parameter_names(
    connect: Any, echo: Any, logged: Callable[[], str]
) -> None:
    url = f"{echo.url}/echo/open/file?X-Goog-Signature=abcdefabcdefabcdef&code=fedcbafedcba%2Ffedcba"
    with connect().download(url) as stream:
        list(stream.chunks())
    echo.faults.add("status", path="open/file", status=403, body="no fedcbafedcba/fedcba here")
    with pytest.raises(errors.PermissionDeniedError) as caught, connect().download(url):
        pass
    text = logged() + everything(caught.value)
    assert "abcdefabcdef" not in text
    assert "fedcbafedcba" not in text


def test_log_lines_without_secrets_stay_unchanged(caplog: pytest.LogCaptureFixture, connect: Any) -> None:
    connect().transport  # noqa: B018
    caplog.set_level(logging.DEBUG)
    logging.getLogger("httpcore.http11").debug("%s of %d", "receive", 3)
    assert "receive of 3" in caplog.text


# -- representations of objects


def test_the_repr_of_a_request_and_of_a_reply_shows_no_content(hook: ApiHook, echo: Any) -> None:
    secret = hook.settings.password
    call = Call[Any](
        "POST",
        f"x/{secret}",
        {"q": secret},
        json={"a": secret},
        form={"client_secret": secret},
        headers={"Authorization": secret},
        name="log in",
    )
    reply = Reply(200, {"set-cookie": secret}, secret.encode())
    shown = f"{call!r} {reply!r} {hook.settings!r} {hook.transport.endpoint!r} {vars(hook.transport)!r}"
    assert not found_in(shown)
    assert "log in" in shown


def test_an_unexpected_error_reaches_the_task_without_a_credential(hook: ApiHook, echo: Any) -> None:
    hook.transport  # noqa: B018
    event = error_event(KeyError(f"Bearer {hook.settings.password}"))
    assert not found_in(json.dumps(event))


@pytest.mark.parametrize("before", ["", "a", "ab", "apitoken:"])
def test_a_secret_is_redacted_inside_a_longer_base64_text(before: str) -> None:
    import base64

    secret = "s3cr3t-s3cr3t-s3cr3t"
    packed = base64.b64encode(f"{before}{secret}:x".encode()).decode()
    cleaned = Redactor([secret]).redact(f"got {packed} from you")
    assert "***" in cleaned
    assert packed[len(before) + 4 : len(before) + 12] not in cleaned


def _quoted(text: str) -> str:
    from airflow_provider.core.http.call import segment

    return segment(text)
