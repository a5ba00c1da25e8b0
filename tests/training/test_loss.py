"""The losses are their formulas."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from digits.models.mlp import MLP
from digits.training.classifier import MeanLoss
from digits.training.loss import MiniBatchLoss, OutputLoss

LABELS = torch.tensor([3, 0, 9, 3, 1, 5, 5, 2])


@pytest.fixture
def outputs() -> Tensor:
    return torch.randn(8, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_output_losses_are_their_formulas(outputs: Tensor) -> None:
    wanted = torch.full((8, 10), 0.01, dtype=torch.float64)
    wanted[range(8), LABELS] = 0.99
    squared = OutputLoss("squared_error")(outputs, LABELS)
    torch.testing.assert_close(squared, ((wanted - outputs.sigmoid()) ** 2).sum() / 2 / 8)
    likelihoods = torch.where(wanted > 0.5, outputs.sigmoid(), 1 - outputs.sigmoid())
    torch.testing.assert_close(OutputLoss("binary_cross_entropy")(outputs, LABELS), -likelihoods.log().sum() / 8)
    assert torch.equal(OutputLoss()(outputs, LABELS), F.cross_entropy(outputs, LABELS))


def test_probabilities_of_sigmoid_outputs_are_their_shares(outputs: Tensor) -> None:
    shares = outputs.sigmoid() / outputs.sigmoid().sum(dim=1, keepdim=True)
    torch.testing.assert_close(OutputLoss("binary_cross_entropy").logits(outputs).softmax(dim=1), shares)
    assert OutputLoss().logits(outputs) is outputs


def test_the_penalty_is_of_the_weights_without_the_biases() -> None:
    network = MLP([5])
    squares = sum(weight.square().sum().item() for name, weight in network.named_parameters() if "bias" not in name)
    assert OutputLoss(l2=0.1).penalty(network).item() == pytest.approx(0.05 * squares, rel=1e-5)


def test_non_digits_at_the_end_have_no_label(outputs: Tensor) -> None:
    each = F.cross_entropy(outputs, LABELS, reduction="none")
    unsure = -outputs[6:].log_softmax(dim=1).mean(dim=1)
    torch.testing.assert_close(MiniBatchLoss(OutputLoss(), 2)(outputs, LABELS), (each[:6].sum() + unsure.sum()) / 8)
    torch.testing.assert_close(MiniBatchLoss(OutputLoss(), 0)(outputs, LABELS), each.mean())


def test_the_mean_loss_is_over_all_images(outputs: Tensor) -> None:
    metric = MeanLoss(OutputLoss())
    metric.update(outputs[:2].float(), LABELS[:2])
    metric.update(outputs[2:].float(), LABELS[2:])
    torch.testing.assert_close(metric.compute(), F.cross_entropy(outputs.float(), LABELS))
