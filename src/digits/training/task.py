"""What the LightningModules share: a network, its optimizer, and what a checkpoint holds of them."""

from dataclasses import asdict
from typing import Any, cast

import lightning.pytorch as L
from torch import Tensor, nn
from torch.optim import Optimizer
from torchmetrics import MetricCollection

from digits.config.train import TrainConfig
from digits.training.optimizers import build_optimizer, rate_factor


class Task(L.LightningModule):
    """Trains a network; what it is trained for is the subclass's.

    Args:
        network: the network.
        settings: the run's.
    """

    train_metrics: MetricCollection
    """What an epoch's training steps have counted so far."""

    def __init__(self, network: nn.Module, settings: TrainConfig) -> None:
        super().__init__()
        self.save_hyperparameters({"model": asdict(settings.model)})  # plain values: loads with weights_only=True
        self.network = network
        self.optimizer_config = settings.optimizer
        self.rate_factor = rate_factor(settings.schedule)
        self.trained_epochs = 0
        """Passes over the training images that the weights of the loaded checkpoint have behind them."""
        self.trained_steps = 0
        """Optimizer steps, likewise."""

    def configure_optimizers(self) -> Optimizer:
        """Build the optimizer."""
        return build_optimizer(self.optimizer_config, self.parameters())

    def learning_rates(self, count: int) -> list[float]:
        """Return the rates of the next optimizer steps; by a step's place in the run alone, so that a run can go on."""
        places = (min((self.trainer.global_step + step) / self.all_steps, 1) for step in range(count))
        return [self.optimizer_config.learning_rate * self.rate_factor(place) for place in places]

    def on_train_start(self) -> None:
        """Note how many optimizer steps the whole run has, which the learning rate depends on."""
        trainer: Any = self.trainer  # Lightning attaches the datamodule to it, which its types do not say
        self.all_steps: int = trainer.datamodule.steps(trainer.max_epochs)

    def on_train_epoch_start(self) -> None:
        """Reset the metrics."""
        self.train_metrics.reset()

    def on_train_epoch_end(self) -> None:
        """Add up the figures with those of the other processes, where the first one's tracker waits for them."""
        self.train_metrics.compute()

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep what the epoch has counted so far."""
        checkpoint["train_metrics"] = {}
        for name, metric in self.train_metrics.items():
            with metric.sync_context():
                state = {key: cast(Tensor, value).clone() for key, value in metric.metric_state.items()}
                checkpoint["train_metrics"][name] = state

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note how far the loaded weights were trained, and what their epoch had counted."""
        self.trained_epochs = epochs_done(checkpoint)
        self.trained_steps = checkpoint["global_step"]
        for name, metric in self.train_metrics.items():
            for key in metric.metric_state:
                # where there are several processes, their sum
                state = checkpoint["train_metrics"][name][key] if self.global_rank == 0 else metric._defaults[key]
                setattr(metric, key, cast(Tensor, state).clone().to(self.device))


def epochs_done(checkpoint: dict[str, Any]) -> int:
    """Return the number of epochs that a checkpoint has behind it, without one that it was written in the middle of."""
    count: int = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["processed"]
    return count


def is_within_an_epoch(checkpoint: dict[str, Any]) -> bool:
    """Whether a checkpoint was written in the middle of an epoch."""
    started: int = checkpoint["loops"]["fit_loop"]["epoch_progress"]["current"]["started"]
    return started > epochs_done(checkpoint)
