"""FCN-4, a fully convolutional tagger (Choi, Fazekas and Sandler 2016, arXiv 1606.00298, Table 1).

Four blocks of 3 x 3 convolution, BatchNorm, ReLU, max pooling and dropout. Time is pooled by 4, 4 and 4 as in
the paper, and the last pooling takes whatever time and frequency are left, so that any t is classified.
"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn.functional import pad

from diffres_cli.nn.classifier import Scores, full_precision

CHANNELS = (3, 128, 384, 768, 2048)
POOLING = (2, 4)  # frequency, time
DROPOUT = 0.5


class FCN4(nn.Module):
    """Features [B, 3, F, t] -> Scores; with 527 classes and width 1, 18.4 million parameters.

    Args:
        classes: of the label set. width: channel multiplier.

    >>> import torch
    >>> FCN4(5, width=0.1)(torch.zeros(2, 3, 64, 130)).framewise.shape
    torch.Size([2, 3, 5])
    """

    def __init__(self, classes: int, width: float = 1.0) -> None:
        super().__init__()
        channels = [CHANNELS[0], *(max(1, round(width * each)) for each in CHANNELS[1:])]
        self.features = nn.ModuleList(_block(before, after) for before, after in pairwise(channels))
        self.dropout = nn.Dropout(DROPOUT)
        self.classifier = nn.Linear(channels[-1], classes)

    def forward(self, x: Tensor) -> Scores:
        """[B, 3, F, t] -> Scores; t' = ceil(t / 64)."""
        *inner, last = self.features
        for block in inner:
            x = self.dropout(max_pool(block(x), *POOLING))
        columns = self.dropout(last(x).amax(2))
        with full_precision(x):
            columns = columns.float()
            embedding = columns.amax(2)
            framewise = self.classifier(columns.transpose(1, 2)).sigmoid()
            return Scores(self.classifier(embedding).sigmoid(), framewise, embedding)


def max_pool(x: Tensor, frequency: int, time: int) -> Tensor:
    """Largest of each block of frequency x time, the last ones cut off: [B, C, F, t] -> [B, C, F', t'].

    Values must not be negative: zeros fill the last blocks. (torch's own pooling with `ceil_mode` cannot be
    exported for any number of frames.)
    """
    # Of positive numbers: ONNX rounds the quotient of negative ones towards zero, Python down.
    rows, columns = (x.shape[2] + frequency - 1) // frequency, (x.shape[3] + time - 1) // time
    x = pad(x, (0, columns * time - x.shape[3], 0, rows * frequency - x.shape[2]))
    return x.reshape(x.shape[0], x.shape[1], rows, frequency, columns, time).amax((3, 5))


def _block(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU())
