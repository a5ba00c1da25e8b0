"""Every file in conf/ fits its dataclass, and every name that the code knows has its file."""

import pytest
from conftest import settings
from hydra import compose, initialize_config_dir

from digits.command_line import _settings, checked
from digits.config import NAMED, ROOT, CompareConfig, EnsembleConfig, EvaluateConfig, TrainConfig
from digits.reading.config import PredictConfig, ScoreConfig
from digits.searching.config import SweepConfig

OPTIONS = sorted(
    f"{file.parent.name}={file.stem}" for file in (ROOT / "conf").glob("*/*.yaml") if file.parent.name != "hydra"
)


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_fits_its_dataclass(option: str) -> None:
    group, name = option.split("=")
    if group == "experiment":  # a bundle of the others' settings
        assert settings(option) != settings()
        return
    if group == "space":  # of sweep.py, for settings that must be there
        augment = {"distortion": ["augment=handwriting"]}.get(name, [])
        with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
            config = checked(compose("sweep", overrides=[option, *augment]), SweepConfig)
        assert set(config.space) <= set(_settings(TrainConfig))
        return
    chosen = getattr(settings(option), group)
    if group in NAMED:
        assert type(chosen) is NAMED[group][name]
        assert chosen.name == name


@pytest.mark.parametrize("group", NAMED)
def test_every_name_has_its_file(group: str) -> None:
    assert sorted(NAMED[group]) == sorted(file.stem for file in (ROOT / "conf" / group).iterdir())


@pytest.mark.parametrize(
    ("name", "schema"),
    [
        ("compare", CompareConfig),
        ("ensemble", EnsembleConfig),
        ("evaluate", EvaluateConfig),
        ("predict", PredictConfig),
        ("score", ScoreConfig),
    ],
)
def test_the_other_entry_points_fit(name: str, schema: type) -> None:
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        needed = {"ensemble": ["runs=[a,b]"], "predict": ["img=a.png"], "score": ["pictures=a"]}
        config = compose(name, overrides=needed.get(name, []))
    assert isinstance(checked(config, schema), schema)
