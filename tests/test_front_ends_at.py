"""The spectrogram at a larger hop: against a loop, and equal to the front end's own at its own hop."""

from __future__ import annotations

from typing import cast

import front_end_references as references
import numpy as np
import pytest
import torch
from front_end_cases import CASES, exported, noise, run
from torch import Tensor, nn

from diffres_cli.checkpoint.frontend import STFT
from diffres_cli.checkpoint.parts import FRONT_ENDS
from diffres_cli.nn.frontends import build_front_end
from diffres_cli.nn.frontends.windowed import WindowedSpectrum


@pytest.mark.parametrize("output_frames", [1, 2, 3, 5, 6, 7, 9, 100])
@pytest.mark.parametrize("samples", [0, 29, 57])
def test_a_larger_hop_takes_whole_windows_where_the_rows_begin(samples: int, output_frames: int) -> None:
    config = CASES["stft"][1]
    front_end = cast(WindowedSpectrum, build_front_end("stft", config).double())
    waveform = noise(1, samples)
    expected = references.at(waveform[0].numpy(), config, output_frames)
    values = front_end.at(waveform, output_frames)[0]
    assert values.shape == (32, output_frames)
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-6 * expected.max() + 1e-12)


@pytest.mark.parametrize("name", ["paper", "audioset-small", "stft"])
@pytest.mark.parametrize("samples", [100, 20_001])
def test_at_its_own_hop_a_larger_hop_changes_nothing(name: str, samples: int) -> None:
    front_end = cast(WindowedSpectrum, build_front_end(*FRONT_ENDS[name][:2]))
    waveform = noise(2, samples).float()
    values = front_end(waveform)
    assert torch.equal(front_end.at(waveform, values.shape[2]), values)


def test_fewer_rows_cost_fewer_windows() -> None:
    """Only the windows that are asked for reach the DFT."""
    front_end = cast(WindowedSpectrum, build_front_end("stft", STFT))
    seen: list[torch.Size] = []
    front_end.spectrum.register_forward_pre_hook(lambda _, frames: seen.append(frames[0].shape))
    front_end.at(noise(2, 16_000).float(), 25)
    assert seen == [(2, front_end.spectrum.samples, 25)]


def test_a_larger_hop_can_be_exported() -> None:
    """One graph for any length and any number of rows."""

    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.front_end = cast(WindowedSpectrum, build_front_end(*FRONT_ENDS["paper"][:2]))

        def forward(self, waveform: Tensor, output_frames: Tensor) -> Tensor:
            return self.front_end.at(waveform, output_frames.shape[0])

    graph = Graph().eval()
    session = exported(graph, noise(2, 20_000).float(), torch.zeros(50))
    for samples, output_frames in [(100, 3), (16_000, 101), (20_001, 7)]:
        waveform = noise(2, samples).float()
        values = run(session, waveform, torch.zeros(output_frames))
        expected = graph(waveform, torch.zeros(output_frames))
        np.testing.assert_allclose(values, expected, rtol=0, atol=1e-6 * float(expected.max()))
