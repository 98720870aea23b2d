"""The power spectrum of real frames as three small matrix products: a DFT without transposes.

Write a sample's position in mixed radix, n = 64 a + 8 b + c for 1,024 points (a < 16; b, c < 8), and
w = exp(-2 pi i / 1024). Then w^(kn) = w^(64 ka) w^(8 kb) w^(kc), and the factor of a digit depends
only on k modulo 16, 128 and 1,024. So the sum over a leaves one number for each residue of k modulo
16, the sum over b splits each of those into its 8 residues modulo 128, and the sum over c arrives at
the bins. Twiddle factors between the stages are not needed: they are inside the matrices.

A real signal's residues r and -r are conjugate, so of R residues those from 0 to R/2 suffice. The
first and the last of them are real and share one *pair*: R/2 pairs of two real numbers at every
stage. A stage is one small matrix for each pair, from the pair to its children.

Stored as [pair, real or imaginary, remaining digits, frame], a stage contracts the leading digit and
its output is, without moving a number, what the next stage reads. Only the bins end up out of order:
whoever weighs them permutes the weights.

For a frame of 800 samples: 46 x 1,024 multiplications, where the direct DFT takes 800 x 1,024.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diffres_cli.errors import UsageError


class Stage(NamedTuple):
    """One stage: what each pair is multiplied by, and the residues of k that its children stand for.

    Shape:
        matrices: [pairs, 2 radix, 2 radix], children's (real, imaginary) by (real, imaginary) digits;
            [1, radix, radix] for the first stage, whose input is real. residues: [pairs, children].
    """

    matrices: NDArray[np.float64]
    residues: NDArray[np.int64]


class PowerSpectrum(nn.Module):
    """Windowed frames -> squared magnitude of every DFT bin below Nyquist.

    Args:
        window: [samples], zero-padded to the DFT's points. split: the stages' radices, whose product
            are the points; the first must be even. See `radices`.

    Attributes:
        samples: a frame's length, the window's rounded up to whole leading digits.
        bins: [groups, bands], the bin at each place of the output. Each band is a range of
            neighbouring bins, and the bands ascend.

    >>> spectrum = PowerSpectrum(np.hanning(800), radices(1024))
    >>> spectrum.samples, spectrum.bins.shape, spectrum(torch.ones(1, 832, 7)).shape
    (832, (64, 8), torch.Size([1, 64, 8, 7]))

    Raises:
        UsageError: the first radix is odd, or the points are fewer than the window's.
    """

    window: Tensor

    def __init__(self, window: NDArray[np.float64], split: tuple[int, ...]) -> None:
        super().__init__()
        points = math.prod(split)
        if split[0] % 2 or points < len(window):
            raise UsageError(
                f"a DFT of {points} points: give an even number, at least the window's {len(window)}"
            )
        stages = factorise(split)
        self.bins = stages[-1].residues
        stride = points // split[0]
        rows = -(-len(window) // stride)  # leading digits beyond the window would only multiply zeros
        self.samples = rows * stride
        padded = np.pad(window, (0, self.samples - len(window)))[:, None]
        self.register_buffer("window", torch.from_numpy(padded).float(), persistent=False)
        matrices = [stage.matrices for stage in stages]
        matrices[0] = matrices[0][:, :, :rows]
        matrices[-1] = _parts_first(matrices[-1])
        for i, matrix in enumerate(matrices):
            self.register_buffer(f"stage{i}", torch.from_numpy(matrix).float(), persistent=False)
        self.stages = len(stages)

    def forward(self, frames: Tensor) -> Tensor:
        """Frames [B, samples, T] -> power [B, groups, bands, T], ordered as in `bins`."""
        batch, _, count = frames.shape
        spectrum = frames * self.window
        for i in range(self.stages):
            matrices = self.get_buffer(f"stage{i}")
            pairs, _, digits = matrices.shape
            spectrum = matrices @ spectrum.reshape(batch, pairs, digits, -1)
        groups, bands = self.bins.shape
        spectrum = spectrum.reshape(batch, groups, 2, bands, count)
        return (spectrum * spectrum).sum(2)  # square() would be exported as a slow Pow


def radices(points: int) -> tuple[int, ...]:
    """An even first radix, which can skip zero rows, and up to two of 8.

    >>> radices(1024), radices(400), radices(50)
    ((16, 8, 8), (50, 8), (50,))
    """
    tail: tuple[int, ...] = ()
    while len(tail) < 2 and points % 16 == 0:
        points, tail = points // 8, (8, *tail)
    return (points, *tail)


def factorise(split: tuple[int, ...]) -> list[Stage]:
    """The stages of a real DFT of prod(split) points; the first radix must be even.

    The Nyquist bin, which would share bin 0's pair, is left out of the last one.

    >>> [stage.matrices.shape for stage in factorise((16, 8, 8))]
    [(1, 16, 16), (8, 16, 16), (64, 16, 16)]
    >>> factorise((16, 8, 8))[-1].residues[1].tolist()
    [8, 120, 136, 248, 264, 376, 392, 504]
    """
    stages: list[Stage] = []
    pairs, modulus = [0], 1
    for radix in split:
        stages.append(_stage(pairs, modulus, radix))
        pairs, modulus = stages[-1].residues.flatten().tolist(), modulus * radix
    stages[0] = stages[0]._replace(matrices=stages[0].matrices[:, :, : split[0]])  # no imaginary part
    stages[-1].matrices[0, 1] = 0.0
    return stages


def _stage(pairs: list[int], modulus: int, radix: int) -> Stage:
    """From the residues modulo `modulus` to those modulo `modulus * radix`."""
    children: dict[int, list[int]] = {pair: [] for pair in pairs}
    for residue in range(modulus * radix // 2):
        children[_in_pair(residue, modulus)[0]].append(residue)
    matrices = [[_child(residue, modulus, radix) for residue in children[pair]] for pair in pairs]
    residues = np.array([children[pair] for pair in pairs])
    return Stage(np.reshape(matrices, (len(pairs), -1, 2 * radix)), residues)


def _parts_first(matrices: NDArray[np.float64]) -> NDArray[np.float64]:
    """Children's rows (child, real or imaginary) to (real or imaginary, child): the faster to add up."""
    pairs, rows, columns = matrices.shape
    by_part = matrices.reshape(pairs, rows // 2, 2, columns).swapaxes(1, 2)
    return np.reshape(by_part, (pairs, rows, columns))


def _child(residue: int, modulus: int, radix: int) -> NDArray[np.float64]:
    """A child pair's two real numbers as weights of its parent's: [2, 2 radix]."""
    row = _weights(residue, modulus, radix)
    if residue == 0:
        return np.stack([row.real, _weights(modulus * radix // 2, modulus, radix).real])
    return np.stack([row.real, row.imag])


def _weights(residue: int, modulus: int, radix: int) -> NDArray[np.complex128]:
    """A residue's complex number as weights of its parent pair's (real, imaginary) digits: [2 radix]."""
    factor = np.exp(-2j * np.pi * residue / (modulus * radix) * np.arange(radix))
    return np.outer(_in_pair(residue, modulus)[1], factor).flatten()


def _in_pair(residue: int, modulus: int) -> tuple[int, tuple[complex, complex]]:
    """Where a residue's number is kept, and what to multiply the pair's two real numbers by to get it."""
    residue %= modulus
    if residue == 0:
        return 0, (1, 0)
    if 2 * residue == modulus:
        return 0, (0, 1)
    return (residue, (1, 1j)) if 2 * residue < modulus else (modulus - residue, (1, -1j))
