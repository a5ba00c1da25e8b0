"""The moving average of the weights: what it is, that it is what is kept, and that a run can go on with it."""

from pathlib import Path

import lightning.pytorch as L
import torch
from conftest import Train, settings
from lightning.pytorch.callbacks import Callback
from run_folders import figures, rows, same, weights

from digits.training import train

TYPED = ("model=sigmoid", "schedule=none", "data.chunk_size=2")


class Watch(Callback):
    """Keeps the weights after each chunk."""

    def __init__(self) -> None:
        self.seen: list[dict[str, torch.Tensor]] = []

    def on_train_batch_end(self, trainer: L.Trainer, pl_module: L.LightningModule, *_: object) -> None:
        self.seen.append({name: one.clone() for name, one in pl_module.state_dict().items()})


def test_it_moves_by_the_steps_of_each_chunk(tiny: list[str], tmp_path: Path) -> None:
    watch = Watch()
    typed = [*tiny, *TYPED, "optimizer.ema=0.8", f"outputs_dir={tmp_path}", "data.train_size=600"]
    folder = train(settings(*typed, "trainer.accelerator=cpu"), typed, [watch])
    first, second, third = watch.seen  # of two, two and one mini-batches
    for name, kept in weights(folder).items():
        average = 0.64 * first[name] + 0.36 * second[name]
        torch.testing.assert_close(kept, 0.8 * average + 0.2 * third[name])


def test_it_is_what_is_validated_tested_and_exported(train_tiny: Train) -> None:
    plain, averaged = train_tiny(*TYPED), train_tiny(*TYPED, "optimizer.ema=0.9999")
    # so slow an average is nearly what it was after the first chunk
    assert float(rows(averaged)[-1]["val/loss"]) > float(rows(plain)[-1]["val/loss"])
    assert figures(averaged)["test/loss"] > figures(plain)["test/loss"]
    assert rows(averaged)[-1]["train/loss"] == rows(plain)[-1]["train/loss"]
    assert same(weights(averaged, "best"), weights(averaged))
