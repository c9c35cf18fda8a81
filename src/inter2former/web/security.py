"""Who may talk to the server: a token in the URL, this machine's names as host, this page as origin."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from inter2former.web.metrics import Metrics

__all__ = ["Guard", "GuardedApp", "new_token"]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_OPEN_PATHS = ("/healthz", "/page/", "/favicon.ico")
"""Without a token: nothing about the project is said there."""

_LONGEST_QUERY = 16_384


def new_token() -> str:
    """A token that cannot be guessed: 256 random bits as text for a URL."""
    return secrets.token_urlsafe(32)


@dataclass(frozen=True)
class Guard:
    """What a request must show.

    Attributes:
        token: in the query as `token`, or in the header `Authorization: Bearer TOKEN`.
        hosts: names with port under which the server may be asked; any other was made up by a foreign page (DNS
            rebinding).
    """

    token: str
    hosts: frozenset[str]

    @classmethod
    def local(cls, port: int, token: str | None = None) -> Guard:
        """For a server on this machine's loopback address."""
        return cls(token or new_token(), frozenset(f"{name}:{port}" for name in ("127.0.0.1", "localhost", "[::1]")))

    def refusal(self, path: str, query: bytes, headers: Mapping[bytes, bytes]) -> tuple[int, str] | None:
        """Judge a request.

        Args:
            path: of the URL.
            query: of the URL, without the question mark.
            headers: lower-case names.
        Returns:
            the HTTP status and a sentence; None: it may pass.
        """
        host = headers.get(b"host", b"").decode("latin-1").lower()
        if host not in self.hosts:
            return 421, "this server answers only under its own address; open the one that the command printed"
        origin = headers.get(b"origin")
        if origin is not None and origin.decode("latin-1").lower() not in {f"http://{name}" for name in self.hosts}:
            return 403, "the request comes from another site's page; open the address that the command printed"
        if path in _OPEN_PATHS or path.startswith("/page/"):
            return None
        if not hmac.compare_digest(_token(query, headers).encode(), self.token.encode()):
            return 403, "the token is missing or wrong; open the address that the command printed, with its token"
        return None

    def headers(self, host: str) -> list[tuple[bytes, bytes]]:
        """What every answer carries so that a browser keeps to this server.

        Args:
            host: under which it was asked; one of `hosts`.
        """
        policy = (
            f"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
            f"connect-src 'self' ws://{host}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        )
        return [
            (b"content-security-policy", policy.encode("latin-1")),
            (b"x-content-type-options", b"nosniff"),
            (b"x-frame-options", b"DENY"),
            (b"referrer-policy", b"no-referrer"),
            (b"cross-origin-opener-policy", b"same-origin"),
            (b"cross-origin-resource-policy", b"same-origin"),
        ]


def _token(query: bytes, headers: Mapping[bytes, bytes]) -> str:
    bearer = headers.get(b"authorization", b"").decode("latin-1")
    if bearer.startswith("Bearer "):
        return bearer.removeprefix("Bearer ")
    if len(query) > _LONGEST_QUERY:
        return ""
    try:
        return parse_qs(query.decode("latin-1"), max_num_fields=32).get("token", [""])[-1]
    except ValueError:
        return ""


class GuardedApp:
    """An application behind a guard: what is refused never reaches it."""

    def __init__(self, app: App, guard: Guard, metrics: Metrics) -> None:
        """Put the guard in front."""
        self.app, self.guard, self.metrics = app, guard, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Judge, then pass on or refuse, and add the headers to whatever answer begins."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        refusal = self.guard.refusal(scope["path"], scope["query_string"], headers)
        if refusal is not None:
            self.metrics.refusals.add("request")
            await _refuse(scope, receive, send, *refusal)
            return
        extra = self.guard.headers(headers[b"host"].decode("latin-1").lower())

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        await self.app(scope, receive, send_with_headers)


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, why: str) -> None:
    if scope["type"] == "websocket":
        await receive()
        # Closing before accepting is answered with status 403.
        await send({"type": "websocket.close", "code": 1008, "reason": why[:120]})
        return
    body = (why + "\n").encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
