"""The networks that the page may choose from: the shipped one and the runs that finished, as they are at the moment."""

from functools import lru_cache
from pathlib import Path

from digits import runs
from digits.files import project_path
from digits.reading.reader import SHIPPED, Reader, find_model

SHIPPED_NAME = "shipped"


class Networks:
    """Networks by name: `shipped`, or `<model>/<run>` of a run in outputs_dir; no other file can be asked for.

    Args:
        run: what the user wants to begin with, as predict takes it; it is offered as well, wherever it is, as `run=`
            and the last part of its path.
        outputs_dir: where the runs are.

    Raises:
        UserError: if there is no such run, or it cannot be read with.
    """

    def __init__(self, run: str | None, outputs_dir: str) -> None:
        self.run = run
        self.outputs_dir = outputs_dir
        self.known: dict[str, Path] = {}
        """As they were at the last look; a look at thousands of runs takes longer than to read a digit."""
        self.reader(self.first)

    @property
    def first(self) -> str:
        """The name of the network that predict would read with now."""
        return self._name(find_model(self.run, self.outputs_dir))

    def names(self) -> list[str]:
        """Look which there are now; returns the newest first and the shipped one last."""
        models = [folder / runs.MODEL_FILE for folder in runs.finished(self.outputs_dir)]
        if self.run is not None:
            models.append(find_model(self.run, self.outputs_dir))
        self.known = {self._name(path): path for path in [*models, SHIPPED]}
        return list(self.known)

    def reader(self, name: str) -> Reader:
        """Open a network, or give it again if its file is still the same.

        Raises:
            KeyError: if there is none of this name.
            UserError: if it cannot be read with.
        """
        if name not in self.known or not self.known[name].exists():
            self.names()
        path = self.known[name]
        return _opened(path, path.stat().st_mtime_ns if path.exists() else 0)

    def _name(self, path: Path) -> str:
        if path == SHIPPED:
            return SHIPPED_NAME
        outputs, folder = project_path(self.outputs_dir).resolve(), path.parent.resolve()
        if folder.parent.parent == outputs and path.name == runs.MODEL_FILE:
            return folder.relative_to(outputs).as_posix()
        return f"run={folder.name if path.name == runs.MODEL_FILE else path.name}"


@lru_cache(maxsize=4)
def _opened(path: Path, changed: int) -> Reader:
    """Open a network, of which a few stay open; `changed` is when its file was, so that a new one is opened anew."""
    del changed
    return Reader(path)
