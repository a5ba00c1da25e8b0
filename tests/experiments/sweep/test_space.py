"""What a search varies."""

import pytest

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
