"""What front ends are made of: where filters start, sPCEN's moving average, pooling, the layer norm."""

from __future__ import annotations

import math

import front_end_references as references
import numpy as np
import pytest
import torch
from front_end_cases import TINY, noise, trained

from diffres_cli.checkpoint.frontend import LEARNED, SINCNET
from diffres_cli.checkpoint.parts import frequencies
from diffres_cli.nn.frontends.filters import FWHM, gabor_start, largest
from diffres_cli.nn.frontends.leaf import Leaf
from diffres_cli.nn.frontends.mel import mel_filters
from diffres_cli.nn.frontends.pcen import SmoothedPCEN, moving_average


def test_gabor_filters_start_as_mel_filters() -> None:
    """leaf-audio reads centre and width at half maximum off the root of a 512-point filter: to one bin."""
    bins = mel_filters(LEARNED).sqrt()
    centres, widths = gabor_start(LEARNED)
    width = LEARNED.sample_rate / LEARNED.fft
    np.testing.assert_allclose(centres * 8_000 / np.pi, LEARNED.mel_frequencies, rtol=1e-6)
    read_off = bins.argmax(1).numpy() * width
    assert np.abs(read_off - LEARNED.mel_frequencies).max() < width
    wide = (bins >= bins.amax(1, keepdim=True) / 2).sum(1).numpy() * width
    assert np.abs(wide - FWHM / widths * 8_000 / np.pi).max() < 1.5 * width  # peaks miss the bins too


def test_sincnet_starts_on_the_mel_scale() -> None:
    mel = 2595 * np.log10(1 + (frequencies("sincnet", SINCNET) - 75) / 700)
    steps = np.diff(mel)
    assert steps.min() > 0.99 * steps.max()


def test_a_gabor_filter_that_left_its_bounds_comes_back_in_training_only() -> None:
    leaf = Leaf(TINY)
    low, high = leaf.width_bounds
    # Half maximum: a quarter circle at most, a bin of the window's DFT at least (leaf-audio's numbers).
    assert (low, high) == pytest.approx([x * math.sqrt(2 * math.log(2)) / math.pi for x in (4, 21)])
    with torch.no_grad():
        leaf.centres.copy_(torch.tensor([-1.0, 4.0, 1.0, 1.0]))
        leaf.widths.copy_(torch.tensor([3.0, 3.0, 0.1, 99.0]))
    before = leaf.eval()(torch.ones(1, 50))
    assert leaf.centres[0] == -1
    after = leaf.train()(torch.ones(1, 50))
    assert torch.equal(before, after)
    torch.testing.assert_close(leaf.centres.data, torch.tensor([0.0, math.pi, 1.0, 1.0]))
    torch.testing.assert_close(leaf.widths.data, torch.tensor([3.0, 3.0, low, high]))


def test_a_pooling_window_is_neither_a_sample_nor_flat() -> None:
    """Its width stays between two samples and half the window, both in halves of the window."""
    leaf = Leaf(TINY)
    with torch.no_grad():
        leaf.pooling.copy_(torch.tensor([[0.0], [9.0], [0.5], [0.4]]))
    one_off = 1 / 10  # a sample from the middle of 21, in halves
    expected = [math.exp(-0.5 * (one_off / width) ** 2) for width in (2 / 21, 0.5, 0.5, 0.4)]
    torch.testing.assert_close(leaf.windows()[:, 11], torch.tensor(expected))


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5, 31, 32, 33, 1000])
def test_the_moving_average_is_the_recursion(frames: int) -> None:
    smooth = torch.tensor([[0.0], [0.04], [0.7], [1.0]], dtype=torch.float64)
    values = noise(2, 4, frames)
    expected = [values[..., 0]]
    for n in range(1, frames):
        expected.append(smooth[:, 0] * values[..., n] + (1 - smooth[:, 0]) * expected[-1])
    torch.testing.assert_close(moving_average(values, smooth), torch.stack(expected, 2))
    constant = torch.full((1, 4, frames), 3.0, dtype=torch.float64)
    torch.testing.assert_close(moving_average(constant, smooth), constant)


def test_pcen_forgets_how_loud_a_recording_is() -> None:
    """At alpha = 1 a gain of 40 dB changes nothing, even where parameters left their bounds."""
    pcen = SmoothedPCEN(3)
    energy = noise(1, 3, 50).float().abs() + 0.1
    with torch.no_grad():
        pcen.alpha.fill_(1.5)
        pcen.root.fill_(0.5)
    values = pcen(energy)
    torch.testing.assert_close(pcen(1e4 * energy), values, rtol=1e-4, atol=1e-5)
    assert values.min() > 0
    with torch.no_grad():
        pcen.alpha.fill_(1.0)
        pcen.root.fill_(1.0)
    torch.testing.assert_close(pcen(energy), values)


@pytest.mark.parametrize(("size", "hop"), [(7, 3), (6, 3), (3, 5), (5, 5), (1, 1), (9, 2)])
def test_the_largest_value_around_every_hop(size: int, hop: int) -> None:
    for samples in (1, 4, 12, 13, 14):
        values = noise(1, 2, samples)
        pieces = [[max(each) for each in references.around(row, size, hop)] for row in values[0].numpy()]
        np.testing.assert_array_equal(largest(values, size, hop)[0], pieces)


def test_sincnets_logarithm_is_a_layer_norm_of_one_frame() -> None:
    front_end = trained("sincnet", TINY)
    values = noise(2, 4, 6).abs()
    scale, shift = (front_end.get_parameter(name)[:, 0] for name in ("scale", "shift"))
    expected = torch.nn.functional.layer_norm(values.transpose(1, 2), (4,), scale, shift, 1e-3)
    torch.testing.assert_close(front_end.log(values), expected.transpose(1, 2))
