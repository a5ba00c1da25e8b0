"""What a search varies."""

import pytest
from conftest import Command

from digits.errors import UserError
from digits.experiments.sweep.space import Interval, Search, _choices


@pytest.mark.parametrize(
    ("text", "varied"),
    [
        ("choice(32, 64)", ["32", "64"]),
        ("choice([200], [300, 100])", ["[200]", "[300,100]"]),
        ("choice(onecycle, cosine)", ["onecycle", "cosine"]),
        ("interval(0, 0.5)", Interval(0, 0.5, log=False)),
        ("tag(log, interval(0.001, 0.1))", Interval(0.001, 0.1, log=True)),
        ("int(interval(1, 9))", Interval(1, 9, log=False)),
    ],
)
def test_what_is_choices(text: str, varied: object) -> None:
    assert _choices("data.batch_size", text) == varied


def test_whole_numbers_stay_whole() -> None:
    varied = _choices("data.batch_size", "int(interval(1, 9))")
    assert isinstance(varied, Interval)
    assert (type(varied.low), type(varied.high)) == (int, int)


@pytest.mark.parametrize(
    "text", ["3", "choice()", "choice(1, 1)", "interval(2, 1)", "tag(log, interval(0, 1))", "range(1, 4)", "[1,2", ""]
)
def test_what_cannot_be_varied_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^space\.data\.batch_size="):
        _choices("data.batch_size", text)


def test_a_trial_is_what_one_would_type() -> None:
    search = Search(["model=sigmoid"], {"seed": ["1", "2"]})
    assert search.trial({"seed": "2"}) == ["model=sigmoid", "seed=2"]


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (["trials=0"], "trials=0: must be 1 to 100000"),
        (["objective=test/accuracy"], "objective=test/accuracy: must be one of val/accuracy, val/loss"),
        (["study=a/b"], "study=a/b: must be a name of up to 100 letters, digits, _, - and ."),
        (["stale_after=1"], "stale_after=1: must be 4 to 86400 seconds"),
        (["space=x"], "space=x: there is no such space; choose one of distortion, learning"),
        (["data.val_size=0"], "data.val_size=0: must be above 0, or there is no val/loss"),
        (["run_name=x"], "run_name=x: must be null in a sweep, which names its own runs"),
        (["trainer.max_time=1:00"], "trainer.max_time=1:00: must be null in a sweep"),
        (["storage=postgres//x"], "storage=postgres//x: must be a database as SQLAlchemy names it"),
        (["-m", "trials=1,2"], "-m=: must be left out; sweep.py has the space to vary settings"),
        (["space=distortion"], "space: augment.rotation: this augment has no rotation"),
        (["optimizer=lbfgs"], "space: "),
        (["optimizer.learning_rate=1"], "optimizer.learning_rate=1: must be left out, because the space varies it"),
        (["modle=x"], "modle=x: there is no setting modle; did you mean model?"),
        (["trails=3"], "trails=3: there is no setting trails; did you mean trials?"),
    ],
)
def test_wrong_settings_are_one_line(command: Command, typed: list[str], line: str) -> None:
    done = command("sweep", *typed)
    assert done.code == 2
    assert done.err.startswith(f"error: {line}")
    assert done.err.count("\n") == 1
