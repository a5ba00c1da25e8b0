"""Run experiments with several seeds, and compare them: `python src/compare.py experiments=[lenet5_adam] seeds=[1]`."""

import hydra
from omegaconf import DictConfig

from digits.command_line import announce_loading, checked, one_line_errors, run
from digits.config.commands import CompareConfig
from digits.experiments.composed import runs_to_compare


@hydra.main(version_base="1.3", config_path="../conf", config_name="compare")
def main(config: DictConfig) -> None:
    """Check the settings, then run what is not there, and compare."""
    with one_line_errors():
        settings = checked(config, CompareConfig)
        wanted = runs_to_compare(settings)
        announce_loading()
        from digits.experiments.compare import compare

        compare(settings, wanted)


if __name__ == "__main__":
    run(main, CompareConfig)
