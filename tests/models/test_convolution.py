"""A convolution with its pooling computes what torch's parts compute, forwards and backwards."""

import pytest
import torch
from torch.nn import functional as F

from digits.models.convolution import PooledConv2d


@pytest.mark.parametrize(("channels", "maps", "padding"), [(1, 6, 2), (3, 5, 0)])
@pytest.mark.parametrize("images_need_gradient", [False, True])
def test_it_is_convolution_maximum_and_relu(channels: int, maps: int, padding: int, images_need_gradient: bool) -> None:
    torch.manual_seed(0)
    layer = PooledConv2d(channels, maps, 5, padding=padding)
    images = torch.randn(7, channels, 28, 28, requires_grad=images_need_gradient)
    wanted = [*layer.parameters(), *([images] if images_need_gradient else [])]
    gradient = torch.randn(7, maps, 12 + padding, 12 + padding)
    found = layer(images)
    by_parts = F.max_pool2d(F.relu(F.conv2d(images, layer.weight, layer.bias, padding=padding)), 2)
    torch.testing.assert_close(found, by_parts)
    for one, other in zip(
        torch.autograd.grad(found, wanted, gradient), torch.autograd.grad(by_parts, wanted, gradient), strict=True
    ):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)
    with torch.no_grad():
        torch.testing.assert_close(layer(images), by_parts)


def test_on_paper_without_ink_each_gradient_goes_to_one_place() -> None:
    layer = PooledConv2d(1, 2, 5, padding=2)
    bias = layer.bias
    assert bias is not None
    torch.nn.init.ones_(bias)
    layer(torch.zeros(3, 1, 28, 28)).sum().backward()
    assert bias.grad is not None
    assert bias.grad.tolist() == [3 * 14 * 14] * 2  # all four of each 2x2 are the largest
