"""Every file in conf/ fits its dataclass, and every name that the code knows has its file."""

import pytest
from conftest import settings
from hydra import compose, initialize_config_dir

from digits.command_line import all_settings, checked
from digits.config.sweep import SweepConfig
from digits.config.train import GROUPS, WITHOUT_INFLUENCE, TrainConfig, result_settings
from digits.files import ROOT

OPTIONS = sorted(
    f"{group}={file.relative_to(ROOT / 'conf' / group).with_suffix('')}"
    for group in ("augment", "data", "experiment", "model", "optimizer", "schedule", "space", "trainer")
    for file in (ROOT / "conf" / group).rglob("*.yaml")
)


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


def test_a_run_has_few_settings() -> None:
    made_of = result_settings(settings("model=mlp", "augment=handwriting"))
    assert len(made_of) + len(WITHOUT_INFLUENCE) <= 50
