"""Search for the settings that validate best: `python src/sweep.py model=lenet5 space=learning trials=40`."""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from digits.command_line import announce_loading, checked, one_line_errors, run
from digits.config.sweep import SweepConfig
from digits.experiments.sweep.space import read_search


@hydra.main(version_base="1.3", config_path="../conf", config_name="sweep")
def main(config: DictConfig) -> None:
    """Check the settings and the space, then try settings until the study has its trials."""
    hydra_config = HydraConfig.get()
    with one_line_errors():
        settings = checked(config, SweepConfig)
        search = read_search(settings, hydra_config)
        announce_loading()
        from digits.experiments.sweep.study import sweep

        sweep(settings, search)


if __name__ == "__main__":
    run(main, SweepConfig)
