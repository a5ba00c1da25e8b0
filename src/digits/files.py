"""The project's folder, and files that are written whole."""

import csv
import io
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from digits.errors import UserError

if TYPE_CHECKING:
    from PIL import Image

ROOT = Path(__file__).parents[2]
"""The project's folder."""

MAX_NAME_BYTES = 150
"""The longest name that a file or a folder gets from a text; file systems take 255."""


def expanded(path: str) -> Path:
    """Return a path as a shell takes it: ~ is one's home, and what begins with ~ and is no user's is a name."""
    with suppress(RuntimeError):
        return Path(path).expanduser()
    return Path(path)


def resolved(path: str) -> Path:
    """Return a path as `expanded` does, absolute and with links followed, as far as they lead anywhere."""
    return Path(os.path.realpath(expanded(path)))  # Path.resolve fails where a link leads to itself


def project_path(path: str) -> Path:
    """Return a folder that is relative to the project's, so that commands do the same from any working directory."""
    return ROOT / expanded(path)


def shown(path: Path) -> str:
    """Return a path as one would type it: relative to the working directory where that is shorter."""
    return min(str(path), os.path.relpath(path), key=len)


def short_name(text: str) -> str:
    """Return the beginning of a text that a file or a folder can be named by, at most MAX_NAME_BYTES."""
    return os.fsencode(text)[:MAX_NAME_BYTES].decode(errors="ignore").strip()


@contextmanager
def file_errors(path: Path) -> Iterator[None]:
    """Turn what the file system refuses into a UserError that names the path."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error


@contextmanager
def atomic_write(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside the path; what is written there becomes the path at the end, or is removed.

    A link stays one, and what it leads to is written.

    Raises:
        UserError: if nothing can be written there.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{short_name(target.name)}.{os.getpid()}.part")
    try:
        with file_errors(path):
            yield temporary
            temporary.replace(target)
    finally:
        with suppress(OSError):  # never made
            temporary.unlink()


def write_text(path: Path, text: str) -> None:
    """Write a text file whole.

    Raises:
        UserError: if it cannot be written.
    """
    with atomic_write(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())  # or after a power cut a checkpoint might know more than metrics.csv


def write_picture(path: Path, picture: "Image.Image") -> None:
    """Write a picture whole, as JPEG if its name says so, and else as PNG.

    Raises:
        UserError: if it cannot be written.
    """
    with atomic_write(path) as temporary:
        picture.save(temporary, format="jpeg" if path.suffix.lower() in (".jpg", ".jpeg") else "png")


def made_folder(key: str, path: Path) -> Path:
    """Make a folder if it is not there, and return it.

    Raises:
        UserError: if it cannot be made; `key` is the setting that names it.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"{key}={path}: cannot be made ({error.strerror}); give a folder") from error
    return path


def new_folder(wanted: Path) -> Path:
    """Make a folder, with _2, _3, ... behind its name where there is one already, and return it.

    Raises:
        OSError: if it cannot be made.
    """
    folder, number = wanted, 1
    while True:
        try:
            folder.mkdir(parents=True)
        except FileExistsError:
            number += 1
            folder = wanted.with_name(f"{wanted.name}_{number}")
        else:
            return folder


def csv_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as CSV with a header of all their keys; what a row has not is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, dict.fromkeys(key for row in rows for key in row), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def markdown_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table in Markdown, with a line break at its end."""
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in (header, ["---"] * len(header), *rows))
