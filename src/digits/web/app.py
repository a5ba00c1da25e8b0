"""What the page may ask: its own files, what is on a picture, and to save one.

A page of another site cannot ask it: for the content types of a drawing and of a picture, browsers ask first whether
that site may (a CORS preflight), and nothing here says so.
"""

import asyncio
import mimetypes
import shlex
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from numpy.typing import NDArray
from PIL import Image
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from digits.errors import UserError, require
from digits.files import shown
from digits.handwriting import own_digits
from digits.handwriting.find import SIDES
from digits.handwriting.load import Picture, brightness, picture_of
from digits.reading.explain import on_paper
from digits.reading.predictions import Prediction, of_picture
from digits.reading.reader import Reader, shipped_page_network
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
"""All that the page is made of; nothing else is served."""

TEACH = "python src/train.py experiment=my_hand"
"""What makes a network learn them, in the project's folder."""


@dataclass(frozen=True)
class Reading:
    """What was read on a drawing or a picture file."""

    source: NDArray[np.uint8] | Picture
    """The brightness of the drawing, [SIDE, SIDE], or the picture that the file has."""
    digits: list[Digit]
    prediction: Prediction


def application(reader: Reader, folder: Path | None) -> Starlette:
    """Make the application.

    Args:
        reader: the digit network.
        folder: where drawings are saved; None for own_digits.FOLDER.

    Raises:
        UserError: if it is in the place of a file, or in one.
    """
    endpoints = _Endpoints(reader, folder)
    mimetypes.add_type("text/javascript", ".js")  # Windows may have another, which no browser would run
    return Starlette(
        routes=[
            Route("/read", endpoints.read, methods=["POST"]),
            Route("/save", endpoints.save, methods=["POST"]),
            Mount("/", StaticFiles(directory=PAGE, html=True)),
        ]
    )


class _Endpoints:
    def __init__(self, reader: Reader, folder: Path | None) -> None:
        self.reader = reader
        self.folder = folder or own_digits.FOLDER
        place = next(place for place in (self.folder, *self.folder.parents) if place.exists())
        require(place.is_dir(), "own_digits", self.folder, f"a folder; {place} is a file")
        self.command = TEACH if folder is None else f"{TEACH} {shlex.quote(f'data.own_digits={folder}')}"
        self.receiving = asyncio.Semaphore(MAX_PICTURES)
        # one of each kind after the other: a drawing takes milliseconds and does not wait for a large picture
        self.drawings, self.pictures = CapacityLimiter(1), CapacityLimiter(1)

    async def read(self, request: Request) -> Response:
        """Return what is read on a drawing or a picture file."""
        return JSONResponse(await self._about(request, _as_json))

    async def save(self, request: Request) -> Response:
        """Save a drawing, or a digit of it, under its right label."""
        label, place = _number(request, "label", 9), _number(request, "digit", 999)
        saved = await self._about(request, lambda reading: self._saved(reading, label, place))
        return JSONResponse(saved, status_code=201)

    def _saved(self, reading: Reading, label: int, place: int) -> dict[str, Any]:
        if place >= len(reading.digits):
            raise HTTPException(422, f"digit={place}: there are {len(reading.digits)} digits on it, the first one is 0")
        path = own_digits.save(self.folder, label, _cut_out(reading, place))
        return {"file": shown(path), "saved": len(own_digits.pictures(self.folder)), "command": self.command}

    async def _about(self, request: Request, answer: Callable[[Reading], dict[str, Any]]) -> dict[str, Any]:
        """Receive what a request is about, and read it and work the answer out in a thread."""
        kind = request.headers.get("content-type", "").lower()
        digits = request.query_params.get("digits", "auto")
        if digits not in ("auto", "one"):
            raise HTTPException(400, f"digits={digits}: must be auto or one")

        def work(content: bytes, is_drawing: bool) -> dict[str, Any]:
            return answer(_read(self.reader, content, is_drawing, digits))

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


def _read(reader: Reader, content: bytes, is_drawing: bool, digits: str) -> Reading:
    """Read the brightness of SIDE x SIDE pixels, or a picture file."""
    source: NDArray[np.uint8] | Picture
    if is_drawing:
        source = np.frombuffer(content, dtype=np.uint8).reshape(SIDE, SIDE)
        pixels, reduction = source.astype(np.float32), 1.0
    else:
        source = picture_of(content)
        pixels, reduction = brightness(source.image), source.reduction
    rotate = "0" if is_drawing else "auto"  # a drawing lies upright, and three more looks would take 30 ms
    recognizer = Recognizer(reader, shipped_page_network(), digits, rotate=rotate)
    rows = recognizer.read(recognizer.find(pixels))
    return Reading(source, [digit for row in rows for digit in row], of_picture(Path("picture"), rows, reduction))


def _as_json(reading: Reading) -> dict[str, Any]:
    """Return what was read under the names that predict's JSON has; images and bytes in base64, boxes in pixels."""
    picture = reading.source if isinstance(reading.source, Picture) else None
    return {
        "answer": reading.prediction.answer,
        "reason": reading.prediction.reason,
        "size": [picture.width, picture.height] if picture else [SIDE, SIDE],
        "digits": [
            {
                **record,
                "probabilities": [round(float(value), 4) for value in digit.probabilities],
                "image": _base64((digit.image * 255).astype(np.uint8).tobytes()),
            }
            for record, digit in zip(reading.prediction.digits, reading.digits, strict=True)
        ],
        "preview": _base64(_preview(picture.image)) if picture else None,
    }


def _preview(picture: Image.Image) -> bytes:
    small = on_paper(picture)
    small.thumbnail((PREVIEW, PREVIEW))
    content = BytesIO()
    small.save(content, "jpeg", quality=85)
    return content.getvalue()


def _base64(content: bytes) -> str:
    return b64encode(content).decode("ascii")


def _cut_out(reading: Reading, place: int) -> NDArray[np.uint8]:
    """Return the picture to save, dark ink on light: a drawing as it is, or the ink of one of several digits."""
    if isinstance(reading.source, np.ndarray) and len(reading.digits) == 1:
        return reading.source
    ink = reading.digits[place].place.cropped
    longer = max(ink.shape)
    # as large as the page network sees pictures, so that it is read again as it was, not between its pixels
    side = next((side for side in SIDES if side >= 1.5 * longer), 2 * longer)
    rims = [((side - length) // 2, (side - length + 1) // 2) for length in ink.shape]
    return np.asarray(255 - 255 * np.pad(ink, rims), dtype=np.uint8)
