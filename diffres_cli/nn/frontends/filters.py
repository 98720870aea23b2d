"""What learned filters share: where they start, convolution at audio rate, pooling at the hop."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import conv1d, pad

from diffres_cli.checkpoint.frontend import MelConfig

# Full width at half maximum of a Gaussian, in standard deviations.
FWHM = 2 * math.sqrt(2 * math.log(2))


def gabor_start(config: MelConfig) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gabor filters with the passbands of mel filters: centres in radians a sample, widths in samples, [F].

    A Gabor filter's response peaks at its mel triangle's centre and is as wide at half its maximum as
    the root of the triangle, which is above one half where the triangle is above a quarter. leaf-audio
    reads both off the bins of a 512-point FFT, which rounds them to multiples of 31.25 Hz.
    """
    hertz = 2 * np.pi / config.sample_rate
    band = config.mel_quarters[:, 1] - config.mel_quarters[:, 0]
    return config.mel_edges[1:-1] * hertz, FWHM / (band * hertz)


def taps(size: int) -> Tensor:
    """Times of a filter's taps in samples, 0 at tap size // 2: [size]."""
    return torch.arange(size, dtype=torch.float32) - size // 2


def gabor(centres: Tensor, widths: Tensor, time: Tensor) -> Tensor:
    """Gaussians of unit area times complex waves: [F], [F], [size] -> [2 F, size], real rows first."""
    width = widths.unsqueeze(1)
    envelope = (-0.5 * (time / width) ** 2).exp() / (math.sqrt(2 * math.pi) * width)
    phase = centres.unsqueeze(1) * time
    return torch.cat([envelope * phase.cos(), envelope * phase.sin()])


def respond(signal: Tensor, kernels: Tensor) -> Tensor:
    """Filters [K, size] at every sample of a signal [B, N] between silences -> [B, K, N]."""
    size = kernels.shape[1]
    padded = pad(signal, (size // 2, size - 1 - size // 2))
    return conv1d(padded.unsqueeze(1), kernels.unsqueeze(1))


def squared_modulus(response: Tensor) -> Tensor:
    """Real parts above imaginary ones, [B, 2 F, N] -> power [B, F, N]."""
    real, imaginary = response.chunk(2, 1)
    return real * real + imaginary * imaginary


def pool(power: Tensor, weights: Tensor, hop: int) -> Tensor:
    """Weighted sums around sample i * hop: [B, F, N], [F, size] -> [B, F, N // hop + 1].

    Only the sums that are kept are computed: a strided convolution, a filter for each channel.
    """
    size = weights.shape[1]
    padded = pad(power, (size // 2, size - size // 2))
    return conv1d(padded, weights.unsqueeze(1), stride=hop, groups=weights.shape[0])


def largest(values: Tensor, size: int, hop: int) -> Tensor:
    """Largest of `size` values around sample i * hop, 0 beyond the ends: [B, F, N] -> [B, F, N // hop + 1].

    A window is some whole blocks of one hop and the beginning of the next: the blocks' maxima serve
    all windows that overlap. (torch's own max pooling cannot be exported for signals of any length.)
    """
    whole, rest = divmod(size, hop)
    frames = values.shape[2] // hop + 1
    count = frames + whole
    padded = pad(values, (size // 2, size + hop)).narrow(2, 0, count * hop)
    blocks = padded.reshape(padded.shape[0], padded.shape[1], count, hop)
    highest = blocks.amax(3)
    pieces = [highest.narrow(2, i, frames) for i in range(whole)]
    if rest:
        pieces.append(blocks[..., :rest].amax(3).narrow(2, whole, frames))
    result = pieces[0]
    for piece in pieces[1:]:
        result = torch.maximum(result, piece)
    return result
