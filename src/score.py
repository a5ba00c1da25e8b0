"""Score a network with labelled pictures: `python src/score.py pictures=FOLDER`."""

import hydra
from omegaconf import DictConfig

from digits.command_line import checked, one_line_errors, run
from digits.config.commands import ScoreConfig


@hydra.main(version_base="1.3", config_path="../conf", config_name="score")
def main(config: DictConfig) -> None:
    """Check the settings, then read the pictures."""
    with one_line_errors():
        settings = checked(config, ScoreConfig)
        from digits.reading.score import score

        score(settings)


if __name__ == "__main__":
    run(main, ScoreConfig)
