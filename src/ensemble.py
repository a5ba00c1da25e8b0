"""Make one network of several runs: `python src/ensemble.py 'runs=[outputs/lenet5/one,outputs/lenet5/two]'`."""

import hydra
from omegaconf import DictConfig

from digits.command_line import announce_loading, checked, one_line_errors, run
from digits.config import EnsembleConfig


@hydra.main(version_base="1.3", config_path="../conf", config_name="ensemble")
def main(config: DictConfig) -> None:
    """Check the settings, then put the networks together."""
    with one_line_errors():
        settings = checked(config, EnsembleConfig)
        announce_loading()
        from digits.ensembling import ensemble

        ensemble(settings)


if __name__ == "__main__":
    run(main, EnsembleConfig)
