"""Train a network on MNIST: `python src/train.py model=lenet5 trainer.accelerator=gpu`."""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from digits.command_line import announce_loading, checked, one_line_errors, run
from digits.config import TrainConfig


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def main(config: DictConfig) -> None:
    """Check the settings, then fit, test and export."""
    with one_line_errors():
        settings = checked(config, TrainConfig)
        announce_loading()
        from digits.training import train

        train(settings, list(HydraConfig.get().overrides.task))


if __name__ == "__main__":
    run(main, TrainConfig)
