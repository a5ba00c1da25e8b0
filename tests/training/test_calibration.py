"""The temperature makes confidence honest, and the threshold lets nearly all digits through."""

import pytest
import torch

from digits.training.calibration import confidence_figures, fit_temperature


@pytest.fixture
def calibrated() -> tuple[torch.Tensor, torch.Tensor]:
    """Logits whose softmax is the truth, and labels drawn by it."""
    torch.manual_seed(0)
    logits = 2 * torch.randn(20_000, 10)
    return logits, torch.multinomial(logits.softmax(dim=1), 1)[:, 0]


@pytest.mark.parametrize("overconfidence", [0.5, 1.0, 3.0])
def test_the_temperature_undoes_what_was_done(
    calibrated: tuple[torch.Tensor, torch.Tensor], overconfidence: float
) -> None:
    logits, labels = calibrated
    assert fit_temperature(logits * overconfidence, labels) == pytest.approx(overconfidence, rel=0.03)


def test_the_figures_say_how_honest_confidence_is(calibrated: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = calibrated
    honest = confidence_figures(logits.softmax(dim=1), labels, "honest")
    boasting = confidence_figures((3 * logits).softmax(dim=1), labels, "boasting")
    assert honest["honest/ece"] < 0.01
    assert boasting["boasting/ece"] > 0.1
    assert boasting["boasting/nll"] > honest["honest/nll"]
