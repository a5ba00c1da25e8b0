"""Draw digits in the browser: `python src/draw.py`."""

import hydra
from omegaconf import DictConfig

from digits.command_line import checked, one_line_errors, run
from digits.config.commands import DrawConfig


@hydra.main(version_base="1.3", config_path="../conf", config_name="draw")
def main(config: DictConfig) -> None:
    """Check the settings, then serve the page until Ctrl-C."""
    with one_line_errors():
        settings = checked(config, DrawConfig)
        from digits.web.server import draw

        draw(settings)


if __name__ == "__main__":
    run(main, DrawConfig)
