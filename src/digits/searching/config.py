"""What conf/sweep.yaml must fit."""

import re
from dataclasses import dataclass, fields
from typing import Literal

from digits.config import TrainConfig
from digits.errors import require, require_one_of

DIRECTIONS: dict[str, Literal["maximize", "minimize"]] = {"val/accuracy": "maximize", "val/loss": "minimize"}
"""What a trial can be judged by, and what is better."""


@dataclass
class SweepConfig(TrainConfig):
    """A search: conf/sweep.yaml. All of train.py's settings, which every trial has unless the space varies them."""

    space: dict[str, str]
    """What to vary: by a setting's key, or a group's, choice(...), interval(...) or int(interval(...)) of Hydra's
    grammar, with tag(log, ...) around an interval to draw from it on a logarithmic scale."""
    study: str
    """The name of the search, and of its folder in outputs_dir/sweeps/; one that is there goes on."""
    storage: str | None
    """The database of the study, as SQLAlchemy names it, for several machines; null: study.db in its folder."""
    trials: int
    """How many are to be finished or pruned, in all processes together."""
    objective: str
    """val/loss or val/accuracy, of the weights that a trial keeps."""
    prune: bool
    """Whether to stop a trial that is worse than half of the others were after as many epochs."""
    stale_after: int
    """Seconds that nothing is heard of a process before another one goes on with its trial."""

    def __post_init__(self) -> None:
        """Check the ranges, and that every trial is a new run that can be judged."""
        super().__post_init__()
        plain = re.fullmatch(r"\w[\w.-]{0,99}", self.study) is not None
        require(plain, "study", self.study, "a name of up to 100 letters, digits, _, - and .")
        require(self.storage != "", "storage", "", "a database such as postgresql://user@host/name, or null")
        require(1 <= self.trials <= 100_000, "trials", self.trials, "1 to 100000")
        require_one_of("objective", self.objective, tuple(DIRECTIONS))
        require(4 <= self.stale_after <= 86_400, "stale_after", self.stale_after, "4 to 86400 seconds")
        require(bool(self.space), "space", self.space, "a file in conf/space/ that varies something")
        require(self.data.val_size > 0, "data.val_size", self.data.val_size, "above 0, or there is no val/loss")
        for key in ("resume", "run_name"):
            require(getattr(self, key) is None, key, getattr(self, key), "null in a sweep, which names its own runs")
        one_process = self.trainer.strategy == "auto"
        require(
            one_process, "trainer.strategy", "ddp", "auto in a sweep, each of whose processes has a trial of its own"
        )
        right = "a run, or shipped, in a sweep, where the newest run may be another of its trials"
        require(self.start_from != "auto", "start_from", "auto", right)
        right = "null in a sweep, which stops so that it can go on at SIGTERM (timeout 8h python src/sweep.py)"
        require(self.trainer.max_time is None, "trainer.max_time", self.trainer.max_time, right)


OWN = {one.name for one in fields(SweepConfig)} - {one.name for one in fields(TrainConfig)}
"""Settings that are the search's, not a trial's."""
