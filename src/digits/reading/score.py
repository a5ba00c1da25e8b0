"""Score a network with labelled pictures: how many are read correctly, what is rejected, and a sheet of the misread."""

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from digits.config.commands import ScoreConfig
from digits.errors import UserError, raise_all
from digits.files import made_folder, project_path, write_picture, write_text
from digits.handwriting.labelled import NON_DIGIT, Labelled, find_labelled
from digits.handwriting.page import Page, find
from digits.reading.explain import grey, sheet
from digits.reading.reader import PageReader, Reader, digit_network_path, page_network_path
from digits.reading.recognize import Recognizer, Rows

CELL, COLUMNS, MAX_MISREAD = 110, 10, 300
"""The sheet's: pixels of a picture's side, pictures a line, two for each that was misread, and of these at most."""


@dataclass(frozen=True)
class Result:
    """How a labelled picture was read."""

    picture: Labelled
    rows: Rows

    @property
    def text(self) -> str:
        """What was read: of one digit the likeliest, of several those that are not rejected, or nothing."""
        single = len(self.picture.label) == 1
        rows = [
            "".join(str(digit.probabilities.argmax()) for digit in row if single or not digit.rejected)
            for row in self.rows
        ]
        return "/".join(filter(None, rows))

    @property
    def is_correct(self) -> bool:
        """Whether what was read is what is there."""
        return self.text == self.picture.label

    @property
    def errors(self) -> int:
        """How many digits are wrong, lost or invented."""
        return distance(self.text.replace("/", ""), self.picture.label.replace("/", ""))

    @property
    def is_rejected(self) -> bool:
        """Whether nothing in the picture is taken for a digit."""
        return all(digit.rejected for row in self.rows for digit in row)

    @property
    def confidence(self) -> float:
        """Of the least sure digit; 0 where there is no ink."""
        return min((digit.confidence for row in self.rows for digit in row), default=0.0)


def score(config: ScoreConfig) -> None:
    """Read the pictures, print the score, and write score.json and misread.png.

    What cannot be read is named on stderr, a line each, counts as wrong nowhere, and makes the exit code 2.

    Raises:
        UserError: if nothing can be scored, or the results cannot be written.
    """
    pictures, errors = find_labelled(config.pictures)
    reader = Reader(digit_network_path(config.run, config.outputs_dir))
    page_network = PageReader(page_network_path(config.pages))
    recognizer = Recognizer(reader, page_network, config.digits)
    out = made_folder("outputs_dir", project_path(config.outputs_dir) / "score")
    sys.stderr.write(f"reading with {reader.title}\n")
    results = [Result(picture, recognizer.read(page)) for picture, page in find_pages(pictures, page_network, errors)]
    if results:
        figures = summary(results)
        sys.stdout.write(report(figures))
        write_text(out / "score.json", json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
        misread = [result for result in results if result.picture.label != NON_DIGIT and not result.is_correct]
        taken = [result for result in results if result.picture.label == NON_DIGIT and not result.is_rejected]
        write_picture(out / "misread.png", misread_sheet(misread + taken))
        sys.stderr.write(f"score.json and misread.png are in {out}\n")
    raise_all(errors)


def find_pages(
    pictures: list[Labelled], page_network: PageReader, errors: list[UserError]
) -> Iterator[tuple[Labelled, Page]]:
    """Find the ink of each picture, with a progress bar in a terminal; what cannot be read is added to the errors."""
    console = Console(stderr=True)
    for picture in track(pictures, "reading", console=console, transient=True, disable=not console.is_terminal):
        try:
            yield picture, find(picture.brightness(), page_network)
        except UserError as error:
            errors.append(error)


def summary(results: list[Result]) -> dict[str, Any]:
    """Return the figures: shares from 0 to 1, of all digits, per kind and per writer, and for non-digits."""
    digits = [result for result in results if result.picture.label != NON_DIGIT]
    others = [result for result in results if result.picture.label == NON_DIGIT]
    figures: dict[str, Any] = {}
    if digits:
        by_writer = _by(digits, lambda result: result.picture.writer)
        figures = {
            "all": _shares(digits),
            "mean_over_writers": round(float(np.mean([shares["right"] for shares in by_writer.values()])), 6),
            "kinds": _by(digits, lambda result: result.picture.kind),
            "writers": by_writer,
        }
    if others:
        figures["no_digit"] = {"pictures": len(others), "rejected": _share(result.is_rejected for result in others)}
    return figures


def _by(results: list[Result], key: Callable[[Result], str]) -> dict[str, dict[str, float]]:
    groups: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        groups[key(result)].append(result)
    return {name: _shares(group) for name, group in sorted(groups.items())}


def _shares(results: list[Result]) -> dict[str, float]:
    digits = sum(len(result.picture.label.replace("/", "")) for result in results)
    return {
        "pictures": len(results),
        "right": _share(result.is_correct for result in results),
        "digits_wrong": round(sum(result.errors for result in results) / digits, 6),
        "rejected": _share(result.is_rejected for result in results),
    }


def _share(values: Iterable[bool]) -> float:
    return round(float(np.mean(list(values))), 6)


def distance(text: str, other: str) -> int:
    """Return how many letters must be changed, taken out or put in to make one text the other (Levenshtein 1966)."""
    before = list(range(len(other) + 1))
    for row, letter in enumerate(text, 1):
        now = [row]
        for column, wanted in enumerate(other, 1):
            now.append(min(before[column] + 1, now[-1] + 1, before[column - 1] + (letter != wanted)))
        before = now
    return before[-1]


def report(figures: dict[str, Any]) -> str:
    """Lay the figures out for a person."""
    lines = []
    for title, groups in (("kind", figures.get("kinds", {})), ("writer", figures.get("writers", {}))):
        if not groups:
            continue
        width = max(map(len, (*groups, title)))
        lines.append(f"{title:<{width}}  pictures   right  digits wrong  rejected")
        for name, shares in groups.items():
            figures_of = f"{shares['right']:>6.1%}  {shares['digits_wrong']:>12.1%}  {shares['rejected']:>8.1%}"
            lines.append(f"{name:<{width}}  {shares['pictures']:>8}  {figures_of}")
        lines.append("")
    if "all" in figures:
        every = figures["all"]
        lines.append(
            f"right            {every['right']:.2%} of {every['pictures']}; single digits without rejecting any"
        )
        lines.append(f"digits wrong     {every['digits_wrong']:.2%}")
        lines.append(f"mean of writers  {figures['mean_over_writers']:.2%}")
        lines.append(f"rejected         {every['rejected']:.2%}")
    if "no_digit" in figures:
        other = figures["no_digit"]
        lines.append(f"no digit         {other['rejected']:.2%} of {other['pictures']} rejected")
    return "\n".join(lines) + "\n"


def misread_sheet(results: list[Result]) -> Image.Image:
    """Draw what was misread: each picture, beside it the first digit as the network saw it, with label and answer."""
    cells = []
    for result in results[:MAX_MISREAD]:
        cells.append((result.picture.name[-18:], grey(result.picture.brightness() / 255)))
        first = next((digit.image for row in result.rows for digit in row), np.zeros((1, 1)))
        answer = f"{result.text or 'nothing'}  {result.confidence:.0%}"
        cells.append((f"{result.picture.label[:14]}\nread as {answer[:14]}", grey(first)))
    lines = [cells[start : start + COLUMNS] for start in range(0, len(cells), COLUMNS)]
    return sheet(lines or [[("nothing was misread", grey(np.ones((1, 1))))]], CELL)
