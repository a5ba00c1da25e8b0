"""What the page may ask: its own files, what is on a picture, and to save one.

A page of another site cannot ask it: for the content types of a drawing and of a picture, browsers ask first whether
that site may (a CORS preflight), and nothing here says so.
"""

import asyncio
import shlex
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from numpy.typing import NDArray
from PIL import Image
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from digits.errors import UserError
from digits.files import ROOT, shown
from digits.handwriting import own_digits
from digits.handwriting.load import Picture, brightness, picture_of
from digits.reading.explain import on_paper
from digits.reading.predictions import Prediction, of_picture
from digits.reading.reader import Reader, shipped_finder
from digits.reading.recognize import Digit, Recognizer

SIDE = 196
"""Pixels of a drawing each way: seven for each of 28x28, so strokes have soft edges; 280 would answer 12 ms later."""

MAX_PICTURE = 32 * 2**20
"""Bytes of a picture file; a phone's 50-megapixel JPEG has half of it."""

MAX_PICTURES = 4
"""Picture files in memory; others wait to be received."""

PATIENCE = 20
"""Seconds that a request's body may take to arrive."""

PREVIEW = 840
"""Pixels of the longer side of what the page shows of a picture file: as many as its canvas has on most screens."""

PAGE = Path(__file__).with_name("page")

FILES = {
    "/": ("index.html", "text/html"),
    "/draw.css": ("draw.css", "text/css"),
    "/draw.js": ("draw.js", "text/javascript"),
    "/pad.js": ("pad.js", "text/javascript"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
"""All that the page is made of; nothing else is served."""

OWN_DIGITS = ROOT / "data" / "own_digits"
"""Where train.py looks for drawings if it is not told otherwise."""

TEACH = "python src/train.py experiment=my_hand"
"""What makes a network learn them, in the project's folder."""

T = TypeVar("T")


@dataclass(frozen=True)
class Question:
    """A drawing or a picture file, and how to read it."""

    content: bytes
    is_drawing: bool
    """Whether the content is the brightness of SIDE x SIDE pixels, and no file."""
    digits: str
    """`auto`, or `one`: all ink is one digit."""


@dataclass(frozen=True)
class Reading:
    """What was read on it."""

    digits: list[Digit]
    prediction: Prediction
    picture: Picture | None
    """The picture that the file has; None for a drawing."""


def application(reader: Reader, folder: Path | None) -> Starlette:
    """Make the application.

    Args:
        reader: the digit network.
        folder: where drawings are saved; None for OWN_DIGITS.
    """
    endpoints = _Endpoints(reader, folder)
    routes = [Route(path, partial(_file, PAGE / name, kind)) for path, (name, kind) in FILES.items()]
    routes += [
        Route("/read", endpoints.read, methods=["POST"]),
        Route("/save", endpoints.save, methods=["POST"]),
    ]
    return Starlette(routes=routes)


class _Endpoints:
    def __init__(self, reader: Reader, folder: Path | None) -> None:
        self.reader = reader
        self.folder = folder or OWN_DIGITS
        self.command = TEACH if folder is None else f"{TEACH} {shlex.quote(f'data.own_digits={folder}')}"
        self.receiving = asyncio.Semaphore(MAX_PICTURES)
        # one of each kind after the other: a drawing takes milliseconds and does not wait for a large picture
        self.drawings, self.pictures = CapacityLimiter(1), CapacityLimiter(1)

    async def read(self, request: Request) -> Response:
        """Return what is read on a drawing or a picture file."""
        return JSONResponse(await self._about(request, lambda question: _as_json(_read(self.reader, question))))

    async def save(self, request: Request) -> Response:
        """Save a drawing, or a digit of it, under its right label."""
        label, place = _number(request, "label", 9), _number(request, "digit", 999)
        saved = await self._about(request, lambda question: self._saved(question, label, place))
        return JSONResponse(saved, status_code=201)

    def _saved(self, question: Question, label: int, place: int) -> dict[str, Any]:
        reading = _read(self.reader, question)
        digits = reading.digits
        if place >= len(digits):
            raise HTTPException(422, f"digit={place}: there are {len(digits)} digits on it, the first one is 0")
        path = own_digits.save(self.folder, label, _cut_out(question, reading, digits[place]))
        return {"file": shown(path), "saved": len(own_digits.pictures(self.folder)), "command": self.command}

    async def _about(self, request: Request, answer: Callable[[Question], T]) -> T:
        """Receive what a request is about, and work the answer out in a thread."""
        kind = request.headers.get("content-type", "").lower()
        digits = request.query_params.get("digits", "auto")
        if digits not in ("auto", "one"):
            raise HTTPException(400, f"digits={digits}: must be auto or one")

        def work(content: bytes, is_drawing: bool) -> T:
            return answer(Question(content, is_drawing, digits))

        try:
            if kind == "application/octet-stream":
                content = await _body(request, SIDE * SIDE)
                if len(content) != SIDE * SIDE:
                    raise HTTPException(400, f"a drawing has {SIDE * SIDE} bytes, a pixel each; {len(content)} came")
                return await run_sync(work, content, True, limiter=self.drawings)
            if kind.startswith("image/"):
                async with self.receiving:
                    content = await _body(request, MAX_PICTURE)
                    return await run_sync(work, content, False, limiter=self.pictures)
        except UserError as error:
            raise HTTPException(422, str(error)) from error
        except ClientDisconnect as error:
            raise HTTPException(400, "the request was cut off") from error
        raise HTTPException(415, "send a drawing as application/octet-stream, or a picture file as image/...")


async def _file(path: Path, kind: str, _: Request) -> Response:
    return FileResponse(path, media_type=kind)


async def _body(request: Request, most: int) -> bytes:
    """Receive a request's body, up to so many bytes; a larger one is refused before it is received."""
    too_large = HTTPException(413, f"at most {most} bytes are taken")
    if int(request.headers.get("content-length", 0)) > most:
        raise too_large
    content = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for part in request.stream():
                content += part
                if len(content) > most:
                    raise too_large
    except TimeoutError as error:
        raise HTTPException(408, f"the request did not arrive within {PATIENCE} seconds") from error
    return bytes(content)


def _number(request: Request, key: str, most: int) -> int:
    text = request.query_params.get(key, "")
    if not (text.isascii() and text.isdecimal() and len(text) < 4 and int(text) <= most):
        raise HTTPException(400, f"{key}={text}: must be a whole number from 0 to {most}")
    return int(text)


def _read(reader: Reader, question: Question) -> Reading:
    if question.is_drawing:
        picture = None
        pixels = np.frombuffer(question.content, dtype=np.uint8).reshape(SIDE, SIDE).astype(np.float32)
    else:
        picture = picture_of(question.content)
        pixels = brightness(picture.image)
    rotate = "0" if question.is_drawing else "auto"  # a drawing lies upright, and three more looks would take 30 ms
    recognizer = Recognizer(reader, shipped_finder(), question.digits, rotate=rotate)
    (rows,) = recognizer.read([recognizer.find(pixels)])
    prediction = of_picture(Path("picture"), rows, picture.reduction if picture else 1.0)
    return Reading([digit for row in rows for digit in row], prediction, picture)


def _as_json(reading: Reading) -> dict[str, Any]:
    """Return what was read under the names that predict's JSON has; images and bytes in base64, boxes in pixels."""
    return {
        "answer": reading.prediction.answer,
        "reason": reading.prediction.reason,
        "size": [reading.picture.width, reading.picture.height] if reading.picture else [SIDE, SIDE],
        "digits": [
            {
                **record,
                "probabilities": [round(float(value), 4) for value in digit.probabilities],
                "image": _base64((digit.image * 255).astype(np.uint8).tobytes()),
            }
            for record, digit in zip(reading.prediction.digits, reading.digits, strict=True)
        ],
        "preview": None if reading.picture is None else _base64(_preview(reading.picture.image)),
    }


def _preview(picture: Image.Image) -> bytes:
    small = on_paper(picture)
    small.thumbnail((PREVIEW, PREVIEW))
    content = BytesIO()
    small.save(content, "jpeg", quality=85)
    return content.getvalue()


def _base64(content: bytes) -> str:
    return b64encode(content).decode("ascii")


def _cut_out(question: Question, reading: Reading, digit: Digit) -> NDArray[np.uint8]:
    """Return the picture to save, dark ink on light: a drawing as it is, or the ink of one of several digits."""
    if question.is_drawing and len(reading.digits) == 1:
        return np.frombuffer(question.content, dtype=np.uint8).reshape(SIDE, SIDE)
    ink = digit.place.cropped
    return np.asarray(255 - 255 * np.pad(ink, max(ink.shape) // 4), dtype=np.uint8)
