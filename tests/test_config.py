"""Every file in conf/ fits its dataclass, and every name that the code knows has its file."""

from typing import Any

import pytest
from conftest import settings
from hydra import compose, initialize_config_dir

from digits.command_line import PATH_SETTINGS, all_settings, checked
from digits.config import commands
from digits.config.sweep import SweepConfig
from digits.config.train import GROUPS, WITHOUT_INFLUENCE, TrainConfig, result_settings
from digits.files import ROOT

OPTIONS = sorted(
    f"{group}={file.relative_to(ROOT / 'conf' / group).with_suffix('')}"
    for group in ("augment", "data", "experiment", "model", "optimizer", "schedule", "space", "trainer")
    for file in (ROOT / "conf" / group).rglob("*.yaml")
)

SCHEMAS = (
    commands.PredictConfig,
    commands.ScoreConfig,
    commands.DrawConfig,
    commands.EvaluateConfig,
    commands.CompareConfig,
    commands.BenchmarkConfig,
    SweepConfig,
)
CHOICES = """
    accelerator augment.name data.name digits format host model.activation model.initialisation model.loss
    model.name models optimizer.name rotate schedule.name study trainer.accelerator trainer.max_time
    trainer.precision trainer.strategy what
"""


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_fits_its_dataclass(option: str) -> None:
    group, name = option.split("=")
    if group == "experiment":  # a bundle of the others' settings
        assert settings(option) != settings()
    elif group == "space":  # of sweep.py, for settings that must be there
        augment = {"distortion": ["augment=handwriting"]}.get(name, [])
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            config = checked(compose("sweep", overrides=[option, *augment]), SweepConfig)
        assert set(config.space) <= set(all_settings(TrainConfig))
    elif group in GROUPS:
        chosen = getattr(settings(option, *(["model=pages"] if option == "data=pages" else [])), group)
        assert type(chosen) is GROUPS[group][name]
        assert chosen.name == name


@pytest.mark.parametrize("group", GROUPS)
def test_every_name_has_its_file(group: str) -> None:
    assert sorted(GROUPS[group]) == sorted(file.stem for file in (ROOT / "conf" / group).glob("*.yaml"))


def test_all_text_but_a_choice_is_taken_as_typed() -> None:
    hints = [hint for schema in SCHEMAS for hint in all_settings(schema).items()]
    texts = {key for key, hint in hints if hint in (str, str | None, list[str], Any)}
    assert texts == {*PATH_SETTINGS, *CHOICES.split()}


def test_a_run_has_few_settings() -> None:
    made_of = result_settings(settings("model=mlp", "augment=handwriting"))
    assert len(made_of) + len(WITHOUT_INFLUENCE) <= 50
