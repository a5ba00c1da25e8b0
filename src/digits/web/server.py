"""Serve the page: a socket, who may ask, and a browser to open."""

import asyncio
import errno
import ipaddress
import logging
import os
import socket
import sys
import threading
import webbrowser
from contextlib import suppress

import uvicorn
from starlette.middleware.trustedhost import TrustedHostMiddleware

from digits.config.commands import DrawConfig
from digits.errors import UserError
from digits.files import resolved, shown
from digits.reading.reader import Reader, digit_network_path
from digits.web.app import application

LOCAL = ["127.0.0.1", "localhost", "[::1]"]
"""What a page that only this machine reaches is called; another site's, whose name was made to lead here, is not."""


def draw(config: DrawConfig) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        UserError: if there is no network to read with, no folder for drawings, or the address cannot be listened on.
    """
    reader = Reader(digit_network_path(config.run, config.outputs_dir))
    with listen(config.host, config.port) as listener:
        page, address = server(config, reader, listener), address_of(listener)
        sys.stdout.write(f"draw at {address} (Ctrl-C ends); {shown(reader.path)} reads it\n")
        if not is_local(listener):
            sys.stdout.write("whoever can reach this machine can draw there too, and save drawings\n")
        sys.stdout.flush()
        if config.open and not show(address):
            sys.stdout.write("open that address in a browser\n")
        with suppress(KeyboardInterrupt):
            page.run([listener])


def server(config: DrawConfig, reader: Reader, listener: socket.socket) -> uvicorn.Server:
    """Make the server of the page.

    Raises:
        UserError: if drawings cannot be saved in their folder.
    """
    logging.getLogger("uvicorn.error").addFilter(_is_crash)
    folder = None if config.own_digits is None else resolved(config.own_digits)
    app = TrustedHostMiddleware(application(reader, folder), [*LOCAL, config.host] if is_local(listener) else ["*"])
    settings = uvicorn.Config(
        app, ws="none", lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
    return uvicorn.Server(settings)


def _is_crash(record: logging.LogRecord) -> bool:
    """Whether the server logs a crash, and not a request that was refused, or cut off by Ctrl-C."""
    return record.exc_info is not None and not isinstance(record.exc_info[1], asyncio.CancelledError)


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
        both = address[0] == "::" and socket.has_dualstack_ipv6()  # IPv4 too, as 0.0.0.0 has it
        listener = socket.create_server(address[:2], family=family, dualstack_ipv6=both)
        # for each of its connections: an answer's body follows its head at once instead of after 40 ms (Nagle 1984)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
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
