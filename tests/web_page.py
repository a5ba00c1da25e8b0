"""The draw page as a server in this process, and what asks it."""

import http.client
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from hand import STROKES
from PIL import Image, ImageDraw

from digits.config.commands import DrawConfig
from digits.reading.reader import SHIPPED, Reader
from digits.web.app import SIDE
from digits.web.server import listen, server

Body = bytes | Iterator[bytes] | None
DRAWING = {"Content-Type": "application/octet-stream"}


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()


@dataclass
class Page:
    """A server that runs, and the folder of its drawings."""

    port: int
    own_digits: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, body: Body = None, headers: dict[str, str] | None = None, method: str = "") -> Answer:
        """Ask on a connection of its own; a POST where there is a body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method or ("GET" if body is None else "POST"), path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, {key.lower(): value for key, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    def saved(self) -> list[str]:
        """Return the names of all that is in the folder of drawings, hidden files too."""
        return sorted(file.name for file in self.own_digits.iterdir()) if self.own_digits.exists() else []


@contextmanager
def serving(folder: Path, host: str = "127.0.0.1") -> Iterator[Page]:
    """Serve the page, with the shipped network; drawings go to folder/own_digits."""
    config = DrawConfig(
        run="shipped", host=host, port=0, open=False, own_digits=str(folder / "own_digits"), outputs_dir=str(folder)
    )
    with listen(config.host, config.port) as listener:
        running = server(config, Reader(SHIPPED), listener)
        thread = threading.Thread(target=running.run, args=([listener],))
        thread.start()
        while not running.started:
            time.sleep(0.01)
        try:
            yield Page(listener.getsockname()[1], folder / "own_digits")
        finally:
            running.should_exit = True
            thread.join()


def drawn(digits: str) -> bytes:
    """Return what the page sends of digits that are drawn on it beside each other."""
    picture = Image.new("L", (SIDE, SIDE), 255)
    for place, digit in enumerate(digits):
        for stroke in STROKES[digit]:
            points = [((place + x) * SIDE / len(digits), y * SIDE) for x, y in stroke]
            ImageDraw.Draw(picture).line(points, fill=0, width=14 // len(digits), joint="curve")
    return np.asarray(picture).tobytes()
