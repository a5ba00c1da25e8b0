"""Measure this project against what one would use instead: `python src/benchmark.py what=train`."""

import hydra
from omegaconf import DictConfig

from digits.command_line import announce_loading, checked, one_line_errors, run
from digits.config.commands import BenchmarkConfig


@hydra.main(version_base="1.3", config_path="../conf", config_name="benchmark")
def main(config: DictConfig) -> None:
    """Check the settings, then measure."""
    with one_line_errors():
        settings = checked(config, BenchmarkConfig)
        announce_loading()
        from digits.benchmarks.measure import benchmark

        benchmark(settings)


if __name__ == "__main__":
    run(main, BenchmarkConfig)
