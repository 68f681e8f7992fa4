"""Parameters and multiply-accumulates of the networks, in closed form (NARes, section 3.1).

A network is a 3x3 stem to `unit` channels and `stages` stages of pre-activation
blocks BN-ReLU-conv3x3-BN-ReLU-conv3x3; stage i has D_i blocks of
`C_i = unit * 2^(i-1) * W_i` channels and halves the resolution for i > 1.  Where
channels or stride change, a 1x1 convolution forms the shortcut.  The head is
BN-ReLU-average pool-linear.

MACs are counted as the dataset's authors do: every convolution and the linear layer, one
per batch-norm output element, and `C_last` for the pooling.
"""

import numpy as np

from nasbench_ar.arrays import IntArray


def network_cost(
    depths: IntArray,
    widths: IntArray,
    *,
    unit_channels: int = 16,
    image_size: int = 32,
    image_channels: int = 3,
    classes: int = 10,
) -> tuple[IntArray, IntArray]:
    """(n,) params and (n,) MACs for one image, of the dtype of `depths`, (n, stages): object where beyond int64."""
    n, stages = depths.shape
    side = image_size
    channels = np.full(n, unit_channels, dtype=depths.dtype)
    params = 9 * image_channels * channels
    macs = side * side * params
    for stage in range(stages):
        stride = 1 if stage == 0 else 2
        out_side = -(-side // stride)
        out = unit_channels * 2**stage * widths[:, stage]
        blocks = depths[:, stage]
        projected = (channels != out) | (stride != 1)
        conv_in = 9 * channels * out
        conv_out = 9 * out * out
        shortcut = projected * channels * out
        params = params + 2 * channels + conv_in + 2 * out + conv_out + shortcut
        params = params + (blocks - 1) * (4 * out + 2 * conv_out)
        macs = macs + side * side * channels + out_side**2 * (conv_in + out + conv_out + shortcut)
        macs = macs + (blocks - 1) * out_side**2 * (2 * out + 2 * conv_out)
        channels, side = out, out_side
    params = params + 2 * channels + (channels + 1) * classes
    macs = macs + side * side * channels + channels + channels * classes
    return params, macs
