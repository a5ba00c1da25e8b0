"""Repeat the test of a finished run from its checkpoint: `python src/evaluate.py run=outputs/lenet5/...`."""

import hydra
from omegaconf import DictConfig

from digits.command_line import announce_loading, checked, one_line_errors, run
from digits.config.commands import EvaluateConfig


@hydra.main(version_base="1.3", config_path="../conf", config_name="evaluate")
def main(config: DictConfig) -> None:
    """Check the settings, then test."""
    with one_line_errors():
        settings = checked(config, EvaluateConfig)
        announce_loading()
        from digits.training.evaluate import evaluate

        evaluate(settings)


if __name__ == "__main__":
    run(main, EvaluateConfig)
