"""Serve the page: a socket, a browser to open, and what makes a connection that only waits go away."""

import errno
import ipaddress
import logging
import os
import socket
import sys
import threading
import webbrowser
from asyncio import BaseTransport
from contextlib import suppress
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from digits.config.commands import DrawConfig
from digits.errors import UserError
from digits.web.app import application
from digits.web.guard import Guard
from digits.web.networks import Networks

PATIENCE = 15
"""Seconds that a connection may be silent, or send a request's head."""

LOCAL = frozenset({"127.0.0.1", "localhost", "[::1]"})
"""What a page that only this machine reaches is called."""


class Connection(H11Protocol):
    """A connection that answers at once, and is closed if it makes no request for some time.

    uvicorn would wait for ever for the first one.
    """

    def connection_made(self, transport: BaseTransport) -> None:
        """Start the clock, and have an answer's body follow its head at once instead of after 40 ms (Nagle 1984)."""
        super().connection_made(transport)  # type: ignore[arg-type]  # it is a Transport, as asyncio's types do not say
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.loop.call_later(PATIENCE, self._close_if_silent, None)

    def _close_if_silent(self, before: Any) -> None:
        if self.transport.is_closing():
            return
        if self.cycle is before and (before is None or before.response_complete):
            self.transport.close()
        else:
            self.loop.call_later(PATIENCE, self._close_if_silent, self.cycle)


def draw(config: DrawConfig) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        UserError: if there is no network to read with, or the address cannot be listened on.
    """
    networks = Networks(config.run, config.outputs_dir)
    with listen(config.host, config.port) as listener:
        address = address_of(listener)
        sys.stdout.write(f"draw at {address} (Ctrl-C ends)\n")
        if not is_local(listener):
            sys.stdout.write("whoever can reach this machine can draw there too, and save drawings\n")
        sys.stdout.flush()
        if config.open and not show(address):
            sys.stdout.write("open that address in a browser\n")
        with suppress(KeyboardInterrupt):
            server(config, networks, listener).run([listener])


def server(config: DrawConfig, networks: Networks, listener: socket.socket) -> uvicorn.Server:
    """Make the server of the page."""
    logging.getLogger("uvicorn").setLevel(logging.ERROR)  # a request that is refused is no news; a crash of ours is
    local = is_local(listener)
    names = LOCAL if local else LOCAL | {config.host.lower(), socket.gethostname().lower()}
    folder = None if config.own_digits is None else Path(config.own_digits).expanduser().resolve()
    app = Guard(application(networks, folder), names, any_address=not local)
    settings = uvicorn.Config(
        app,
        loop="asyncio",
        http=Connection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=PATIENCE,
        timeout_graceful_shutdown=1,
    )
    return uvicorn.Server(settings)


def listen(host: str, port: int) -> socket.socket:
    """Listen on an address.

    Raises:
        UserError: if it is no address of this machine, or its port is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise UserError(f"host={host}: is no address; give 127.0.0.1, or 0.0.0.0 for all that can reach it") from error
    try:
        return socket.create_server(address[:2], family=family, backlog=1024)
    except OSError as error:
        problem = f"port={port}: cannot be used ({error.strerror}); give another, such as 8001"
        if error.errno == errno.EADDRINUSE:
            problem = f"port={port}: is taken; give another, or port=0 for a free one"
        if error.errno == errno.EADDRNOTAVAIL:
            problem = (
                f"host={host}: is no address of this machine; give 127.0.0.1, or 0.0.0.0 for all that can reach it"
            )
        raise UserError(problem) from error


def is_local(listener: socket.socket) -> bool:
    """Whether only this machine can reach it."""
    return ipaddress.ip_address(listener.getsockname()[0]).is_loopback


def address_of(listener: socket.socket) -> str:
    """Return the address that a browser finds the page at."""
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = _reachable_address()
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


def _reachable_address() -> str:
    """Return the address of this machine that others on its network reach it at; its name, where it has no network."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing; any address elsewhere would do (RFC 5737)
        except OSError:
            return socket.gethostname()
        return str(probe.getsockname()[0])


def show(address: str) -> bool:
    """Open the page in the browser; False where there is none to open it in."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return False  # a browser in the terminal would take it over
    try:
        browser = webbrowser.get()
    except webbrowser.Error:
        return False
    threading.Thread(target=browser.open, args=(address,), daemon=True).start()  # some wait for the browser to end
    return True
