"""What was read in a picture, and that as a table, JSON or CSV."""

import csv
import io
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from digits.handwriting.normalize import SIDE
from digits.reading.recognize import UNREADABLE, Rows

COLUMNS = ("file", "answer", "confidence", "reason", *(f"p{digit}" for digit in range(10)))
"""The columns of the CSV, and the keys of JSON."""

NOT_A_DIGIT = "not a digit"
"""The reason where there is ink, but no digit."""

WIDE = 200
"""Columns of a table that goes to a file or another program."""


class Prediction(NamedTuple):
    """What was read in a picture."""

    file: str
    """Its name, as text that can be written anywhere."""
    answer: str
    """The digits, rows separated by `/`; `?` for a non-digit, and `?` alone where nothing is a digit."""
    confidence: float | None
    """The probability of the least sure digit, 0 to 1; None where there is no ink."""
    reason: str
    """Why there is no answer; empty where there is one."""
    probabilities: Sequence[float | None]
    """Of the digits 0 to 9, where there is one digit in the picture."""
    digits: list[dict[str, Any]]
    """Each digit: its `row`, `answer`, `likeliest`, `confidence` and `box` (left, top, right, bottom in pixels)."""

    @property
    def row(self) -> tuple[Any, ...]:
        """What COLUMNS name."""
        return (*self[:4], *self.probabilities)


def of_picture(file: Path, rows: Rows, reduction: float = 1.0) -> Prediction:
    """Return the prediction for a picture with any number of digits.

    Args:
        file: the picture.
        rows: its digits, none where there is no ink.
        reduction: how many pixels of the picture one of the boxes' stands for.
    """
    digits = [digit for row in rows for digit in row]
    answer, reason = UNREADABLE, NOT_A_DIGIT if digits else "no ink"
    if not all(digit.rejected for digit in digits):
        answer, reason = "/".join("".join(digit.answer for digit in row) for row in rows), ""
    confidence = min((digit.confidence for digit in digits), default=None)
    probabilities = [_rounded(value) for value in digits[0].probabilities] if len(digits) == 1 else [None] * 10
    records = [
        {
            "row": number,
            "answer": digit.answer,
            "likeliest": int(digit.probabilities.argmax()),
            "confidence": _rounded(digit.confidence),
            "box": [round(edge * reduction) for edge in digit.box.edges],
        }
        for number, row in enumerate(rows)
        for digit in row
    ]
    return Prediction(printable(file), answer, _rounded(confidence), reason, probabilities, records)


def of_image(name: str, likeliest: int, rejected: bool, probabilities: list[float]) -> Prediction:
    """Return the prediction for an image that is as the network takes it, with all figures rounded."""
    answer, reason = (UNREADABLE, NOT_A_DIGIT) if rejected else (str(likeliest), "")
    confidence = probabilities[likeliest]
    known = {"row": 0, "answer": answer, "likeliest": likeliest, "confidence": confidence}
    return Prediction(name, answer, confidence, reason, probabilities, [{**known, "box": [0, 0, SIDE, SIDE]}])


def _rounded(probability: float | None) -> float | None:
    return None if probability is None else round(float(probability), 6)


def printable(file: Path) -> str:
    """Return a file's name as text that can be written anywhere; bytes that are no text become a replacement mark."""
    return os.fsencode(file).decode(errors="replace")


def as_table(predictions: Sequence[Prediction]) -> str:
    """Return a table for a person: file, answer, confidence, and the runner-up or why there is no answer."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table("file", "answer", "confidence", "runner-up")
    for name, answer, confidence, beside, probabilities, _ in predictions:
        known = [(value, digit) for digit, value in enumerate(probabilities) if value is not None]
        if known:
            (_, first), (value, second) = sorted(known, key=lambda pair: -pair[0])[:2]
            beside = f"{beside}; likeliest {first}" if beside else f"{second} ({value:.1%})"
        visible = "".join(letter if letter.isprintable() else "\ufffd" for letter in name)
        grid.add_row(Text(visible), answer, "" if confidence is None else f"{confidence:.1%}", beside)
    text = io.StringIO()
    Console(file=text, width=None if sys.stdout.isatty() else WIDE).print(grid)
    return text.getvalue()


def as_json(predictions: Sequence[Prediction]) -> str:
    """Return a list of objects with the keys of the CSV's header, and `digits` with a box and a confidence for each."""
    records = [{**dict(zip(COLUMNS, each.row, strict=True)), "digits": each.digits} for each in predictions]
    return json.dumps(records, indent=2, ensure_ascii=False) + "\n"


def as_csv(predictions: Sequence[Prediction]) -> str:
    """Return the header `file,answer,confidence,reason,p0,...,p9` and a line for each picture."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(prediction.row for prediction in predictions)
    return text.getvalue()
