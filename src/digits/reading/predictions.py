"""Predictions, as a table, JSON or CSV."""

import csv
import io
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from digits.handwriting.normalize import SIDE
from digits.reading.recognize import UNREADABLE, Digit, Rows

COLUMNS = ("file", "answer", "confidence", "reason", *(f"p{digit}" for digit in range(10)))
"""Of the CSV, and the keys of JSON."""

NOT_A_DIGIT = "not a digit"
"""The reason where there is ink, but no digit."""

WIDE = 200
"""Columns of a table that goes to a file or another program."""


class Prediction(Protocol):
    """Of one picture, for tables and files."""

    def row(self) -> tuple[Any, ...]:
        """Return file, answer, confidence, reason, and the ten probabilities of a single digit; see COLUMNS."""

    def digit_records(self) -> list[dict[str, Any]]:
        """Return the JSON of each digit; the box is left, top, right, bottom in the picture's pixels, upright."""


class ImagePrediction(NamedTuple):
    """Of an image that is as the network takes it, with all figures rounded; there may be thousands."""

    name: str
    likeliest: int
    rejected: bool
    probabilities: list[float]

    def row(self) -> tuple[Any, ...]:
        """As in Prediction."""
        name, likeliest, rejected, probabilities = self
        answer, reason = (UNREADABLE, NOT_A_DIGIT) if rejected else (str(likeliest), "")
        return (name, answer, probabilities[likeliest], reason, *probabilities)

    def digit_records(self) -> list[dict[str, Any]]:
        """As in Prediction."""
        _, answer, confidence, *_ = self.row()
        known = {"answer": answer, "likeliest": self.likeliest, "confidence": confidence}
        return [{"row": 0, **known, "box": [0, 0, SIDE, SIDE]}]


@dataclass(frozen=True)
class PicturePrediction:
    """Of a picture with any number of digits."""

    file: Path
    rows: Rows = field(default_factory=list)
    """Empty where there is no ink."""
    reduction: float = 1.0
    """How many pixels of the picture one of the boxes' stands for."""

    @property
    def digits(self) -> list[Digit]:
        """All digits, in the order of reading."""
        return [digit for row in self.rows for digit in row]

    @property
    def answer(self) -> str:
        """The digits, rows separated by `/`; `?` for a non-digit, and `?` alone where nothing is a digit."""
        if not any(not digit.rejected for digit in self.digits):
            return UNREADABLE
        return "/".join("".join(digit.answer for digit in row) for row in self.rows)

    @property
    def reason(self) -> str:
        """Why there is no answer; empty where there is one."""
        if not self.rows:
            return "no ink"
        return NOT_A_DIGIT if self.answer == UNREADABLE else ""

    @property
    def confidence(self) -> float | None:
        """The probability of the least sure digit, 0 to 1; None where there is no ink."""
        return min((digit.confidence for digit in self.digits), default=None)

    def row(self) -> tuple[Any, ...]:
        """As in Prediction."""
        single = self.digits[0].probabilities if len(self.digits) == 1 else [None] * 10
        return (printable(self.file), self.answer, _rounded(self.confidence), self.reason, *map(_rounded, single))

    def digit_records(self) -> list[dict[str, Any]]:
        """Return the JSON of each digit; the box is left, top, right, bottom in the picture's pixels, upright."""
        return [
            {
                "row": number,
                "answer": digit.answer,
                "likeliest": int(digit.probabilities.argmax()),
                "confidence": _rounded(digit.confidence),
                "box": [
                    round(edge * self.reduction)
                    for edge in (digit.box.left, digit.box.top, digit.box.right, digit.box.bottom)
                ],
            }
            for number, row in enumerate(self.rows)
            for digit in row
        ]


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
    for prediction in predictions:
        name, answer, confidence, beside, *probabilities = prediction.row()
        if probabilities[0] is not None:
            first, second = sorted(range(10), key=probabilities.__getitem__, reverse=True)[:2]
            beside = f"{beside}; likeliest {first}" if beside else f"{second} ({probabilities[second]:.1%})"
        grid.add_row(Text(name), answer, "" if confidence is None else f"{confidence:.1%}", beside)
    text = io.StringIO()
    Console(file=text, width=None if sys.stdout.isatty() else WIDE).print(grid)
    return text.getvalue()


def as_json(predictions: Sequence[Prediction]) -> str:
    """Return a list of objects with the keys of the CSV's header, and `digits` with a box and a confidence for each."""
    records = [
        {**dict(zip(COLUMNS, prediction.row(), strict=True)), "digits": prediction.digit_records()}
        for prediction in predictions
    ]
    return json.dumps(records, indent=2, ensure_ascii=False) + "\n"


def as_csv(predictions: Sequence[Prediction]) -> str:
    """Return the header `file,answer,confidence,reason,p0,...,p9` and a line for each picture."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(prediction.row() for prediction in predictions)
    return text.getvalue()
