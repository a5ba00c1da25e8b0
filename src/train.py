"""Train a network on MNIST: `python src/train.py model=lenet5 trainer.accelerator=gpu`."""

from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from digits.command_line import announce_loading, checked, run
from digits.config.train import TrainConfig
from digits.experiments.multirun import job_errors, placed


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def main(config: DictConfig) -> Path:
    """Check the settings, then fit, test and export; return the run's folder."""
    hydra_config = HydraConfig.get()
    with job_errors(hydra_config):
        settings = placed(checked(config, TrainConfig), hydra_config)
        announce_loading()
        from digits.training.run import train

        return train(settings, list(hydra_config.overrides.task))


if __name__ == "__main__":
    run(main, TrainConfig)
