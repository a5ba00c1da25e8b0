"""Read pictures of handwritten digits: `python src/predict.py img=my_digit.png`."""

import hydra
from omegaconf import DictConfig

from digits.command_line import checked, one_line_errors, run
from digits.config.commands import PredictConfig


@hydra.main(version_base="1.3", config_path="../conf", config_name="predict")
def main(config: DictConfig) -> None:
    """Check the settings, then read the pictures."""
    with one_line_errors():
        settings = checked(config, PredictConfig)
        from digits.reading.predict import predict

        predict(settings)


if __name__ == "__main__":
    run(main, PredictConfig)
