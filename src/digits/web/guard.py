"""Who may ask the page: only the page itself, under its own name."""

import ipaddress
import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

RULES = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
"""What browsers are told with every answer: load nothing from elsewhere, and let no other site show or read it."""

HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:[0-9]+)?", re.IGNORECASE)
"""Of a Host header: a name or an address, and maybe a port."""


class Guard:
    """Refuses requests that other sites' pages make, and those for other names (DNS rebinding), before they are read.

    Args:
        app: who answers the others.
        names: what the page may be called, in small letters; an IPv6 address in brackets.
        any_address: whether any address will do as well, which is no name that somebody else could rebind.
    """

    def __init__(self, app: ASGIApp, names: frozenset[str], any_address: bool) -> None:
        self.app = app
        self.names = names
        self.any_address = any_address

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""

        async def send_with_rules(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(RULES)
            await send(message)

        refusal = self._refusal(Headers(scope=scope), scope["method"])
        app = self.app if refusal is None else PlainTextResponse(refusal, status_code=403)
        await app(scope, receive, send_with_rules)

    def _refusal(self, headers: Headers, method: str) -> str | None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            return f"this page is not called {host!r}; it answers to {', '.join(sorted(self.names))}\n"
        origin = headers.get("origin")
        if origin is not None and origin != f"http://{host}":
            return f"a page of {origin!r} asked; only the page itself, at http://{host}, is answered\n"
        followed_a_link = method == "GET" and headers.get("sec-fetch-mode") == "navigate"
        if headers.get("sec-fetch-site") in ("cross-site", "same-site") and not followed_a_link:
            return "a page of another site asked; only the page itself is answered\n"
        return None

    def _is_ours(self, host: str) -> bool:
        parsed = HOST.fullmatch(host)
        if parsed is None:
            return False
        name = parsed[1].lower()
        return name in self.names or (self.any_address and _is_address(name.strip("[]")))


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
