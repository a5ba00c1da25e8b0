"""What conf/sweep.yaml must fit."""

from dataclasses import dataclass, fields
from typing import Annotated

from digits.config.checks import between, pattern
from digits.config.train import TrainConfig
from digits.errors import require


@dataclass
class SweepConfig(TrainConfig):
    """A search: conf/sweep.yaml. All of train.py's settings, which every trial has unless the space varies them."""

    space: dict[str, str]
    study: Annotated[str, pattern(r"\w[\w.-]{0,99}", "a name of up to 100 letters, digits, _, - and .")]
    trials: Annotated[int, between(1, 100_000)]

    def __post_init__(self) -> None:
        """Check that every trial is a new run that can be judged."""
        super().__post_init__()
        trainer = self.trainer
        fit = {
            "space": (self.space, bool(self.space), "a file in conf/space/ that varies something"),
            "data.val_size": (self.data.val_size, self.data.val_size > 0, "above 0, or there is no val/loss"),
            "resume": (self.resume, self.resume is None, "null in a sweep, which goes on by itself"),
            "run_name": (self.run_name, self.run_name is None, "null in a sweep, which names its own runs"),
            "trainer.strategy": (trainer.strategy, trainer.strategy == "auto", "auto in a sweep: a trial a process"),
            "start_from": (
                self.start_from,
                self.start_from != "auto",
                "a run or shipped in a sweep, not the newest run",
            ),
            "trainer.max_time": (
                trainer.max_time,
                trainer.max_time is None,
                "null in a sweep, which stops so that it can go on at SIGTERM (timeout 8h python src/sweep.py)",
            ),
        }
        for key, (value, possible, expected) in fit.items():
            require(possible, key, value, expected)


SWEEP_ONLY = {field.name for field in fields(SweepConfig)} - {field.name for field in fields(TrainConfig)}
"""Settings that are the search's, not a trial's."""
