"""The IoT Studio service: its routes, and the authorization of requests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from airflow_provider.sandbox.iotstudio.auth import authorize, bearer
from airflow_provider.sandbox.iotstudio.loads import ThingsLoad
from airflow_provider.sandbox.iotstudio.push.link import BrokerLink
from airflow_provider.sandbox.iotstudio.records import Category, Space
from airflow_provider.sandbox.iotstudio.request import ApiRequest
from airflow_provider.sandbox.iotstudio.responses import ApiError, OAuthError, Reply, not_found
from airflow_provider.sandbox.iotstudio.routes import (
    catalog,
    history,
    interactions,
    mqtt,
    oauth,
    properties,
    query,
    things,
)
from airflow_provider.sandbox.iotstudio.seed import CLIENT_ID, CLIENT_SECRET, SPACE
from airflow_provider.sandbox.iotstudio.state import IoTStudioState
from airflow_provider.sandbox.rate_limit import retry_after
from airflow_provider.sandbox.tokens import RefusedTokenError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.routing import BaseRoute

    from airflow_provider.sandbox.service import Surroundings


@dataclass(frozen=True)
class Endpoint:
    """A route below a space.

    :param scopes: scopes of which the token needs any.
    """

    method: str
    path: str
    scopes: tuple[str, ...]
    handler: Callable[[ApiRequest], Reply]


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
    """Return the endpoints that exist below the space, and again below each category."""
    thing = "/things/{thing}"
    read, create, update, delete = ("thing.read",), ("thing.create",), ("thing.update",), ("thing.delete",)
    either = ("thing.update", "thing.create")
    return [
        Endpoint("GET", "/things", read, things.list_things),
        Endpoint("POST", "/things", create, things.create),
        Endpoint("PATCH", "/things", update, things.patch_many),
        Endpoint("DELETE", "/things", delete, things.delete_many),
        Endpoint("GET", thing, read, things.get),
        Endpoint("PUT", thing, update, things.replace),
        Endpoint("PATCH", thing, update, things.patch),
        Endpoint("DELETE", thing, delete, things.delete),
        Endpoint("POST", f"{thing}/reset-secret", update, things.reset_secret),
        Endpoint("GET", f"{thing}/properties", read, properties.read_all),
        Endpoint("PUT", f"{thing}/properties", either, properties.write_all),
        Endpoint("GET", f"{thing}/properties/{{property}}", read, properties.read_one),
        Endpoint("PUT", f"{thing}/properties/{{property}}", either, properties.write_one),
        Endpoint("GET", f"{thing}/actions", read, interactions.list_actions),
        Endpoint("GET", f"{thing}/actions/{{name}}", read, interactions.list_actions),
        Endpoint("POST", f"{thing}/actions/{{name}}", create, interactions.request_action),
        Endpoint("GET", f"{thing}/actions/{{name}}/{{entry}}", read, interactions.get_action),
        Endpoint("PUT", f"{thing}/actions/{{name}}/{{entry}}", update, interactions.update_action),
        Endpoint("DELETE", f"{thing}/actions/{{name}}/{{entry}}", delete, interactions.delete_action),
        Endpoint("GET", f"{thing}/events", read, interactions.list_events),
        Endpoint("GET", f"{thing}/events/{{name}}", read, interactions.list_events),
        Endpoint("POST", f"{thing}/events/{{name}}", create, interactions.add_event),
        Endpoint("GET", f"{thing}/events/{{name}}/{{entry}}", read, interactions.get_event),
        Endpoint("DELETE", f"{thing}/events/{{name}}/{{entry}}", delete, interactions.delete_event),
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


class IoTStudioService(IoTStudioState):
    """Altair IoT Studio on loopback.

    The switches are those of :class:`~airflow_provider.sandbox.iotstudio.switches.Switches`.
    """

    loads = (ThingsLoad,)

    def __init__(self, around: Surroundings) -> None:
        super().__init__(around)
        if around.iot_mqtt:
            self.link = BrokerLink(around.iot_mqtt, self._take_published)

    def close(self) -> None:
        """Close the connection to the broker."""
        if self.link:
            self.link.close()

    def _take_published(self, space: str, thing: str, payload: Any) -> None:
        self.around.on_loop(lambda: properties.take_published(self, space, thing, payload))

    def connection(self) -> Mapping[str, Any]:
        """Return the Airflow connection that uses the seeded client."""
        extra: dict[str, Any] = {"space": SPACE, "scopes": ["category", "thing", "model", "query"]}
        if self.link:
            user = {"mqtt_username": self.link.username, "mqtt_password": self.link.password}
            extra |= {"mqtt_url": self.link.url, **user}
        return {
            "conn_type": "iotstudio",
            "host": self.base_url,
            "login": CLIENT_ID,
            "password": CLIENT_SECRET,
            "extra": extra,
        }

    def routes(self) -> Sequence[BaseRoute]:
        """Return the routes of the resource API and of OAuth2; names in paths may be quoted."""
        tokens: list[BaseRoute] = [
            Route("/.well-known/openid-configuration", self._metadata, methods=["GET"]),
            Route("/oauth2/token", self._oauth(oauth.issue), methods=["POST"]),
            Route("/oauth2/revoke", self._oauth(oauth.revoke), methods=["POST"]),
        ]
        return tokens + [
            Route(f"/spaces/{{space}}{endpoint.path}", self._resource(endpoint), methods=[endpoint.method])
            for endpoint in _endpoints()
        ]

    async def _metadata(self, _: Request) -> Response:
        if not self.has_metadata:
            return _response((404, not_found().body))
        return _response((200, oauth.metadata(self.base_url)))

    def _oauth(self, handler: Callable[[IoTStudioState, Mapping[str, str]], Reply]) -> Any:
        async def endpoint(request: Request) -> Response:
            form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
            try:
                self.access.check_rate()
                return _response(handler(self, form))
            except OAuthError as error:
                return _response((error.status, error.body))
            except RefusedTokenError as refused:
                body = {"error": "too_many_requests", "error_description": refused.detail}
                return self._refused(refused.status, body, refused.seconds)

        return endpoint

    def _resource(self, endpoint: Endpoint) -> Any:
        async def answer(request: Request) -> Response:
            try:
                if early := self._early(request):
                    return self._refused(429, ApiError(429, "Too Many Requests").body, early)
                reply = endpoint.handler(self._authorize(request, await request.body(), endpoint))
                return _response(reply, nan_literals=self.nan_literals)
            except ApiError as error:
                return _response((error.status, error.body))
            except (AttributeError, IndexError, KeyError, TypeError, ValueError):
                if self.checks("descriptions"):
                    raise
                # Without the check of descriptions a handler may get one that it cannot use.
                return _response((400, ApiError(400, "malformed body").body))

        return answer

    def _early(self, request: Request) -> float:
        """Return the seconds until the request's client may send it; 0 without a valid token."""
        token = self.access.find(request.headers.get("authorization", "").partition(" ")[2].strip())
        rate, now = self.requests_per_second, self.around.clock.now()
        return self.limit.take(token.client, now, rate) if token else 0.0

    def _refused(self, status: int, body: Mapping[str, Any], seconds: float) -> Response:
        response = _response((status, body))
        if self.retry_after:
            response.headers.update(retry_after(seconds))
        return response

    def _authorize(self, request: Request, body: bytes, endpoint: Endpoint) -> ApiRequest:
        args = dict(request.path_params)
        if self.longest_url is not None and len(f"{request.url.path}?{request.url.query}") > self.longest_url:
            raise ApiError(414, "URI Too Long")
        resource = request.scope["path"].removeprefix(f"/{self.name}/")
        refused = self.refused_token_status
        token = self.access.find(bearer(request.headers.get("authorization", ""), refused))
        if token is None:
            raise ApiError(refused, "Unauthenticated")
        authorize(self.clients, token, endpoint.scopes, resource)
        space = self.spaces.get(args["space"])
        if space is None:
            text = "Item not found" if self.unknown_space_status == 404 else "Unauthorized"
            raise ApiError(self.unknown_space_status, text)
        prefer = request.headers.get("prefer", "")
        preview = prefer.removeprefix("preview=") if prefer.startswith("preview=") else ""
        if self.requires_preview and preview < "2023.1":
            raise ApiError(404, "Requested url does not match any rules")
        return ApiRequest(
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
        raise not_found()
    return space.categories[name]


def _response(reply: Reply, *, nan_literals: bool = False) -> Response:
    status, body = reply
    if body is None:
        return Response(status_code=status)
    content = json.dumps(body).encode() if nan_literals else msgspec.json.encode(body)
    return Response(content, status_code=status, media_type="application/json")
