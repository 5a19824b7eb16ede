"""The emulated IoT Studio: its switches, and its routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal
from urllib.parse import parse_qsl

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider.sandbox.iotstudio import auth as access
from airflow_provider.sandbox.iotstudio.auth import Client, OAuthError, Token
from airflow_provider.sandbox.iotstudio.formats import Answer, Ask, RefusedError, missing, ulid
from airflow_provider.sandbox.iotstudio.routes import catalog, history, interactions, mqtt, query, things
from airflow_provider.sandbox.iotstudio.routes import properties as values
from airflow_provider.sandbox.iotstudio.seed import SPACE, seeded_space
from airflow_provider.sandbox.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from airflow_provider.sandbox.iotstudio.records import Category, Space

CLIENT_ID = "app::01HB3K8R5T7W9Y2A4C6E8G0J2M"
CLIENT_SECRET = "pl4nt/room+7=warm&dry%21#ok?"  # every character here changes when it is percent-encoded


@dataclass(frozen=True)
class Endpoint:
    """A method and path below a space, the scopes of which one is needed, and who answers."""

    method: str
    path: str
    scopes: tuple[str, ...]
    handler: Callable[[Ask], Answer]


def _endpoints() -> list[Endpoint]:
    scoped = _of_things()
    inside = [Endpoint(e.method, f"/categories/{{category}}{e.path}", e.scopes, e.handler) for e in scoped]
    return _of_the_space() + scoped + inside


def _of_the_space() -> list[Endpoint]:
    category, model = "/categories/{category}", "/models/{model}"
    return [
        Endpoint("GET", "/categories", ("category.read",), catalog.list_categories),
        Endpoint("POST", "/categories", ("category.create",), catalog.create_category),
        Endpoint("GET", category, ("category.read",), catalog.get_category),
        Endpoint("PUT", category, ("category.update",), catalog.replace_category),
        Endpoint("DELETE", category, ("category.delete",), catalog.delete_category),
        Endpoint("GET", "/models", ("model.read",), catalog.list_models),
        Endpoint("POST", "/models", ("model.create",), catalog.create_model),
        Endpoint("GET", model, ("model.read",), catalog.get_model),
        Endpoint("PUT", model, ("model.update",), catalog.replace_model),
        Endpoint("DELETE", model, ("model.delete",), catalog.delete_model),
        Endpoint("GET", f"{model}/versions", ("model.read",), catalog.list_versions),
        Endpoint("POST", f"{model}/versions", ("model.create",), catalog.create_version),
        Endpoint("GET", f"{model}/versions/{{version}}", ("model.read",), catalog.get_version),
        Endpoint("POST", "/query/cursor", ("query.read",), query.open_cursor),
        Endpoint("POST", "/query/cursor/{cursor}", ("query.read",), query.next_batch),
        *_mqtt(f"{category}/mqtt-credentials"),
    ]


def _of_things() -> list[Endpoint]:
    """Give what there is below the space, and once more below each category."""
    thing = "/things/{thing}"
    read, create, update, gone = ("thing.read",), ("thing.create",), ("thing.update",), ("thing.delete",)
    either = ("thing.update", "thing.create")
    return [
        Endpoint("GET", "/things", read, things.list_things),
        Endpoint("POST", "/things", create, things.create),
        Endpoint("PATCH", "/things", update, things.patch_many),
        Endpoint("DELETE", "/things", gone, things.delete_many),
        Endpoint("GET", thing, read, things.get),
        Endpoint("PUT", thing, update, things.replace),
        Endpoint("PATCH", thing, update, things.patch),
        Endpoint("DELETE", thing, gone, things.delete),
        Endpoint("POST", f"{thing}/reset-secret", update, things.reset_secret),
        Endpoint("GET", f"{thing}/properties", read, values.read_all),
        Endpoint("PUT", f"{thing}/properties", either, values.write_all),
        Endpoint("GET", f"{thing}/properties/{{property}}", read, values.read_one),
        Endpoint("PUT", f"{thing}/properties/{{property}}", either, values.write_one),
        Endpoint("GET", f"{thing}/actions", read, interactions.list_actions),
        Endpoint("GET", f"{thing}/actions/{{name}}", read, interactions.list_actions),
        Endpoint("POST", f"{thing}/actions/{{name}}", create, interactions.request_action),
        Endpoint("GET", f"{thing}/actions/{{name}}/{{entry}}", read, interactions.get_action),
        Endpoint("PUT", f"{thing}/actions/{{name}}/{{entry}}", update, interactions.update_action),
        Endpoint("DELETE", f"{thing}/actions/{{name}}/{{entry}}", gone, interactions.delete_action),
        Endpoint("GET", f"{thing}/events", read, interactions.list_events),
        Endpoint("GET", f"{thing}/events/{{name}}", read, interactions.list_events),
        Endpoint("POST", f"{thing}/events/{{name}}", create, interactions.add_event),
        Endpoint("GET", f"{thing}/events/{{name}}/{{entry}}", read, interactions.get_event),
        Endpoint("DELETE", f"{thing}/events/{{name}}/{{entry}}", gone, interactions.delete_event),
        *_mqtt(f"{thing}/mqtt-credentials"),
        *_history(f"{thing}/properties-history"),
        *_history(f"{thing}/properties-history/{{property}}"),
    ]


def _history(path: str) -> list[Endpoint]:
    return [
        Endpoint("GET", path, ("thing.read",), history.read),
        Endpoint("POST", path, ("thing.create",), history.add),
        Endpoint("DELETE", path, ("thing.delete",), history.remove),
    ]


def _mqtt(path: str) -> list[Endpoint]:
    handlers = {"POST": mqtt.create, "GET": mqtt.get, "PUT": mqtt.replace, "DELETE": mqtt.delete}
    scopes = ("mqtt.credentials", "thing.update", "category.update")
    return [Endpoint(method, path, scopes, handler) for method, handler in handlers.items()]


class IoTStudioService(Service):
    """Altair IoT Studio on loopback.

    What the vendor's docs leave open is an attribute, put back by ``reset()``:

    - ``token_lifetime``: seconds a new token lives, on the sandbox's clock.
    - ``read_only``, ``unknown_property``: ``accept`` or ``reject`` writes to such properties.
    - ``out_of_range``: ``reject``, ``accept`` or silently ``clamp`` numbers beyond minimum and maximum.
    - ``lost_writes``: property names, or pairs of uid and name, whose writes are accepted and dropped.
    - ``rounding``: decimals kept of a property, by name.
    - ``max_message_bytes``: bodies of property writes above it are refused; None for no limit.
    - ``longest_url``: longer ones are refused, path and query counted; None for no limit.
    - ``empty_page_in_the_middle``: every further page is preceded by an empty one with a cursor.
    - ``forgotten_before``: recorded values from before this time (RFC 3339) are gone; empty for none.
    - ``unknown_space_status``: what a space that does not exist is answered with.
    - ``device_seconds``: how long the device takes for an action; None leaves actions pending.
    - ``device_answers``: status and output by action name, ``("completed", {"ok": True})`` by default.
    - ``actions_show_output``: whether an action's output is in the replies.
    """

    name: ClassVar[str] = "iotstudio"

    def reset(self) -> None:
        """Put the seeded space, the clients and the default switches back."""
        space = seeded_space()
        self.spaces: dict[str, Space] = {space.name: space}
        self.clients: dict[str, Client] = {CLIENT_ID: Client(CLIENT_ID, CLIENT_SECRET)}
        self.tokens: dict[str, Token] = {}
        self.revoked: list[str] = []
        self.cursors: dict[str, query.Cursor] = {}
        self.mqtt: dict[str, dict[str, Any]] = {}
        self._ids = 0
        self._tokens = 0
        self.token_lifetime: float = 604_799
        self.read_only: Literal["accept", "reject"] = "accept"
        self.unknown_property: Literal["accept", "reject"] = "reject"
        self.out_of_range: Literal["accept", "reject", "clamp"] = "reject"
        self.lost_writes: set[str | tuple[str, str]] = set()
        self.rounding: dict[str, int] = {}
        self.max_message_bytes: int | None = 5 * 1024
        self.longest_url: int | None = None
        self.empty_page_in_the_middle = False
        self.forgotten_before = ""
        self.unknown_space_status = 404
        self.device_seconds: float | None = 2.0
        self.device_answers: dict[str, tuple[str, Any]] = {}
        self.actions_show_output = True

    @property
    def space(self) -> Space:
        """The seeded space."""
        return self.spaces[SPACE]

    @property
    def client(self) -> Client:
        """The client that :meth:`connection` logs in with; its scopes and policies may be changed."""
        return self.clients[CLIENT_ID]

    def new_id(self) -> str:
        """Make the next id; later ones sort after earlier ones."""
        self._ids += 1
        # The counter goes into the time part, so that ids made within one millisecond stay in order.
        return ulid(int(self.around.clock.now() * 1000) + self._ids, f"id {self._ids}")

    def count_token(self) -> int:
        """Count a token that is being issued."""
        self._tokens += 1
        self.around.counters.tokens_issued[self.name] += 1
        return self._tokens

    def connection(self) -> Mapping[str, Any]:
        """Give the Airflow connection that uses the seeded client."""
        return {
            "conn_type": "iotstudio",
            "host": self.base_url,
            "login": CLIENT_ID,
            "password": CLIENT_SECRET,
            "extra": {"space": SPACE, "scopes": ["category", "thing", "model", "query"]},
        }

    def routes(self) -> Sequence[BaseRoute]:
        """Routes of the resource API and of OAuth2; names in paths may be quoted."""
        oauth: list[BaseRoute] = [
            Route("/oauth2/token", self._oauth(access.issue), methods=["POST"]),
            Route("/oauth2/revoke", self._oauth(access.revoke), methods=["POST"]),
        ]
        return oauth + [
            Route(f"/spaces/{{space}}{one.path}", self._resource(one), methods=[one.method])
            for one in _endpoints()
        ]

    def _oauth(self, handler: Callable[[IoTStudioService, Mapping[str, str]], Answer]) -> Any:
        async def endpoint(request: Request) -> Response:
            form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
            try:
                return _response(handler(self, form))
            except OAuthError as refused:
                return _response((refused.status, refused.body))

        return endpoint

    def _resource(self, endpoint: Endpoint) -> Any:
        async def answer(request: Request) -> Response:
            try:
                return _response(endpoint.handler(self._ask(request, await request.body(), endpoint)))
            except RefusedError as refused:
                return _response((refused.status, refused.body))

        return answer

    def _ask(self, request: Request, body: bytes, endpoint: Endpoint) -> Ask:
        args = dict(request.path_params)
        if self.longest_url is not None and len(f"{request.url.path}?{request.url.query}") > self.longest_url:
            raise RefusedError(414, "URI Too Long")
        resource = request.scope["path"].removeprefix(f"/{self.name}/")
        access.admit(self, request.headers.get("authorization", ""), endpoint.scopes, resource)
        space = self.spaces.get(args["space"])
        if space is None:
            text = "Item not found" if self.unknown_space_status == 404 else "Unauthorized"
            raise RefusedError(self.unknown_space_status, text)
        prefer = request.headers.get("prefer", "")
        preview = prefer.removeprefix("preview=") if prefer.startswith("preview=") else ""
        return Ask(
            service=self,
            space=space,
            category=_category(space, args.get("category")),
            args=args,
            query=list(request.query_params.multi_items()),
            body=body,
            preview=preview,
        )


def _category(space: Space, name: str | None) -> Category | None:
    if name is None:
        return None
    if name not in space.categories:
        raise missing()
    return space.categories[name]


def _response(answer: Answer) -> Response:
    status, body = answer
    if body is None:
        return Response(status_code=status)
    return Response(msgspec.json.encode(body), status_code=status, media_type="application/json")
