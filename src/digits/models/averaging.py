"""A moving average of the weights, which is what is validated, kept and exported."""

from typing import Any

import lightning.pytorch as L
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor


class MovingAverage(WeightAveraging):
    """Lightning's weight averaging, an exponential moving average.

    Lightning calls it once a chunk, so the average moves as far as it would in as many steps that end where the chunk
    ends.

    Args:
        decay: what the average keeps of itself at each optimizer step.
    """

    def __init__(self, decay: float) -> None:
        super().__init__(avg_fn=self._moved)
        self.decay = decay
        self.kept = 0.0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Move the average towards the weights after a chunk."""
        self.kept = self.decay ** (trainer.global_step - self._latest_update_step)
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)

    def on_load_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on with both; a test is of the average, which is the checkpoint's `state_dict`."""
        if trainer.state.fn == TrainerFn.FITTING:
            super().on_load_checkpoint(trainer, pl_module, checkpoint)

    def _moved(self, average: Tensor, now: Tensor, _: Any) -> Tensor:
        return average.lerp(now, 1 - self.kept) if now.is_floating_point() else now
