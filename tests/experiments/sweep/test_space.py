"""What a search varies."""

import pytest

from digits.errors import UserError
from digits.experiments.sweep.space import Interval, _choices


@pytest.mark.parametrize(
    ("text", "varied"),
    [
        ("choice(32, 64)", ["32", "64"]),
        ("choice([200], [300, 100])", ["[200]", "[300,100]"]),
        ("choice(onecycle, cosine)", ["onecycle", "cosine"]),
        ("interval(0, 0.5)", Interval(0.0, 0.5, log=False)),
        ("tag(log, interval(0.001, 0.1))", Interval(0.001, 0.1, log=True)),
        ("int(interval(1, 9))", Interval(1, 9, log=False)),
    ],
)
def test_what_is_choices(text: str, varied: object) -> None:
    assert repr(_choices("data.batch_size", text)) == repr(varied)  # whole numbers stay whole


@pytest.mark.parametrize(
    "text", ["3", "choice()", "choice(1, 1)", "interval(2, 1)", "tag(log, interval(0, 1))", "range(1, 4)", "[1,2", ""]
)
def test_what_cannot_be_varied_is_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"^space\.data\.batch_size="):
        _choices("data.batch_size", text)
