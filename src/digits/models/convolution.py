"""A convolution, the pooling behind it and ReLU in one, as fast as torch's own parts allow on a CPU."""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PooledConv2d(nn.Conv2d):
    """A convolution of stride 1, the maximum of each 2x2 of its maps, and ReLU.

    ReLU comes last: that gives what it gives before the maximum, and on a quarter of the numbers.

    In float32 on a CPU the training is 1.3 times as fast as these three one after the other (`benchmark.py` measures it
    as part of the whole). Two facts about oneDNN are used: a maximum over neighbours costs more than the convolution
    before it, and of a convolution's three products (outputs, gradient of the weights, gradient of the inputs) each is
    fastest in another memory format. On an H100 a step of LeNet-5 takes half the time where the first layer is computed
    as on a CPU: cuDNN's deterministic gradient of its weights takes longer than all else.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Return maps, float [N, out_channels, h, w], of float [N, in_channels, H, W]; pooling halves h and w."""
        compiling = torch.compiler.is_compiling()  # or exporting
        trains = not compiling and torch.is_grad_enabled() and not torch.is_autocast_enabled(images.device.type)
        if trains and not images.requires_grad:
            return cast(Tensor, _FirstPooledConv.apply(images, self.weight, self.bias, self.padding))
        if compiling or images.is_cuda:
            maps = super().forward(images)
        elif trains:
            maps = _MixedFormatConv.apply(images, self.weight, self.bias, self.padding)
        else:
            maps = super().forward(images.contiguous(memory_format=torch.channels_last))
        return F.relu(F.max_pool2d(maps, 2))


class _FirstPooledConv(torch.autograd.Function):
    """A convolution whose inputs need no gradient, with pooling and ReLU.

    One convolution of stride 2 with four kernels for each map, the same kernel shifted by no or one row and column,
    gives the four numbers of each 2x2 in maps of their own. The maximum is then over whole maps, not over neighbours.
    """

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, padding: tuple[int, int]) -> Tensor:
        maps, channels, height, width = weight.shape
        kernels = weight.new_zeros(2, 2, maps, channels, height + 1, width + 1)
        for row in range(2):
            for column in range(2):
                kernels[row, column, :, :, row : row + height, column : column + width] = weight
        kernels = kernels.flatten(0, 2)
        four = F.conv2d(images, kernels, bias.repeat(4), stride=2, padding=padding)
        upper, lower = four.chunk(2, dim=1)
        rows = torch.maximum(upper, lower)
        left, right = rows.chunk(2, dim=1)
        pooled = torch.maximum(left, right).relu_()
        ctx.save_for_backward(images, kernels, four, rows, pooled)
        ctx.shape, ctx.padding = weight.shape, padding
        return pooled

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[None, Tensor, Tensor, None]:
        images, kernels, four, rows, pooled = ctx.saved_tensors
        rows_gradient, four_gradient = torch.empty_like(rows), torch.empty_like(four)
        _to_the_larger(_where_positive(gradient, pooled), rows, rows_gradient)
        _to_the_larger(rows_gradient, four, four_gradient)
        size, stride = [len(kernels)], [2, 2]
        _, kernels_gradient, biases_gradient = torch.ops.aten.convolution_backward(
            four_gradient, images, kernels, size, stride, ctx.padding, [1, 1], False, [0, 0], 1, [False, True, True]
        )
        maps, _, height, width = ctx.shape
        kernels_gradient = kernels_gradient.view(2, 2, maps, -1, height + 1, width + 1)
        weight_gradient = sum(
            kernels_gradient[row, column, :, :, row : row + height, column : column + width]
            for row in range(2)
            for column in range(2)
        )
        return None, weight_gradient, biases_gradient.view(4, maps).sum(dim=0), None


class _MixedFormatConv(torch.autograd.Function):
    """A convolution whose gradient of the inputs is computed with channels first, all else with channels last."""

    @staticmethod
    def forward(ctx: Any, images: Tensor, weight: Tensor, bias: Tensor, padding: tuple[int, int]) -> Tensor:
        images, last = (tensor.contiguous(memory_format=torch.channels_last) for tensor in (images, weight))
        ctx.save_for_backward(images, weight, last)
        ctx.padding = padding
        return F.conv2d(images, last, bias, padding=padding)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        images, weight, last = ctx.saved_tensors
        settings = ([len(weight)], [1, 1], ctx.padding, [1, 1], False, [0, 0], 1)
        convolution_backward = torch.ops.aten.convolution_backward
        _, weight_gradient, bias_gradient = convolution_backward(gradient, images, last, *settings, [False, True, True])
        # of the images only the shape and the format count here
        first = torch.empty(images.shape)
        images_gradient, _, _ = convolution_backward(
            gradient.contiguous(), first, weight, *settings, [True, False, False]
        )
        return images_gradient, weight_gradient, bias_gradient, None


def _where_positive(gradient: Tensor, values: Tensor) -> Tensor:
    """Return the gradient where values are above 0, and else 0; torch.where by a comparison takes 20 times as long."""
    return cast(Tensor, torch.ops.aten.threshold_backward(gradient, values, 0))


def _to_the_larger(gradient: Tensor, pairs: Tensor, out: Tensor) -> None:
    """Hand each number of the gradient to the larger number of its pair, whose two are in the halves of `pairs`."""
    first, second = pairs.chunk(2, dim=1)
    to_first, to_second = out.chunk(2, dim=1)
    torch.sub(first, second, out=to_first)
    torch.ops.aten.threshold_backward.grad_input(gradient, to_first, 0, grad_input=to_first)
    torch.sub(gradient, to_first, out=to_second)
