"""The losses are their formulas."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from digits.models.mlp import MLP
from digits.training.classifier import MeanLoss
from digits.training.loss import OutputLoss, probabilities

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


def test_non_digits_are_an_eleventh_class(outputs: Tensor) -> None:
    loss = OutputLoss(non_digits=True)
    likelihoods = outputs.exp() / (1 + outputs.exp().sum(dim=1, keepdim=True))
    torch.testing.assert_close(probabilities(loss.logits(outputs)), likelihoods)
    of_others = 1 - likelihoods.sum(dim=1)
    labels = torch.where(torch.arange(8) < 6, LABELS, 10)
    each = torch.cat([likelihoods[range(6), LABELS[:6]], of_others[6:]])
    torch.testing.assert_close(loss(outputs, labels), -each.log().mean())


def test_of_sigmoid_outputs_none_is_to_be_1_for_a_non_digit(outputs: Tensor) -> None:
    loss = OutputLoss("binary_cross_entropy", non_digits=True)
    none_is = (1 - outputs.sigmoid()).log().sum(dim=1)
    torch.testing.assert_close(loss(outputs, torch.full((8,), 10)), -none_is.mean())
    assert torch.equal(loss.logits(outputs)[:, :10], outputs)


def test_the_mean_loss_is_over_all_images(outputs: Tensor) -> None:
    metric = MeanLoss(OutputLoss())
    metric.update(outputs[:2].float(), LABELS[:2])
    metric.update(outputs[2:].float(), LABELS[2:])
    torch.testing.assert_close(metric.compute(), F.cross_entropy(outputs.float(), LABELS))
