"""Front ends: against their definitions in loops, signals whose answer is known, ONNX."""

from __future__ import annotations

import dataclasses
import math
import re
from typing import cast

import front_end_references as references
import numpy as np
import pytest
import torch
from front_end_cases import CASES, TINY, exported, noise, run, trained
from torch import Tensor

from diffres_cli.checkpoint.frontend import CQT, LEARNED, STFT
from diffres_cli.checkpoint.parts import FRONT_END_KINDS, FRONT_ENDS, frequencies
from diffres_cli.errors import UsageError
from diffres_cli.nn.frontends import build_front_end

LEARNED_KINDS = ("leaf", "sincnet", "td-filterbanks", "trainable-stft")
RIVALS = [kind for kind in FRONT_END_KINDS if kind != "mel"]


@pytest.mark.parametrize("samples", [0, 1, 7, 8, 9, 20, 21, 29, 30, 31, 40, 57])
@pytest.mark.parametrize("case", CASES)
def test_a_front_end_is_its_definition(case: str, samples: int) -> None:
    kind, config = CASES[case]
    front_end = trained(kind, config)
    waveform = noise(2, samples)
    values = front_end(waveform).detach()
    learned = {name: parameter.detach().numpy() for name, parameter in front_end.named_parameters()}
    define = getattr(references, kind.replace("-", "_"))
    expected = np.array([define(clip, config, learned) for clip in waveform.numpy()])
    assert values.shape == expected.shape == (2, front_end.bins, config.frames(samples))
    assert (values >= 0).all()
    # Windows are float32, whose cosine is another processor's by a bit: 2e-7 is seen.
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-6 * expected.max() + 1e-12)


@pytest.mark.parametrize("kind", FRONT_END_KINDS)
@pytest.mark.parametrize("hop", [160, 96, 48, 16])
def test_every_front_end_has_as_many_frames_at_any_hop(kind: str, hop: int) -> None:
    name = "paper" if kind == "mel" else kind
    config = dataclasses.replace(FRONT_ENDS[name].config, hop=hop)
    front_end = build_front_end(kind, config).eval()
    for samples in (0, hop, 8_000 + hop - 1, 8_000 + hop):
        values = front_end(torch.zeros(1, samples))
        assert values.shape == front_end.log(values).shape == (1, front_end.bins, config.frames(samples))
        assert front_end.log(values).isfinite().all()


@pytest.mark.parametrize(
    ("kind", "filters", "window", "count"),
    [
        ("leaf", 64, 401, 448),  # the published ones, at 64 filters
        ("sincnet", 64, 401, 256),
        ("td-filterbanks", 64, 400, 51_200),
        ("td-filterbanks", 64, 401, 51_328),
        ("leaf", 40, 401, 280),
        ("sincnet", 40, 401, 160),
        ("mel", 40, 400, 0),
    ],
)
def test_parameters_are_as_many_as_published(kind: str, filters: int, window: int, count: int) -> None:
    config = dataclasses.replace(LEARNED, mel_bins=filters, window=window)
    front_end = build_front_end(kind, config)
    assert sum(parameter.numel() for parameter in front_end.parameters()) == count
    assert front_end.state_dict().keys() == dict(front_end.named_parameters()).keys()  # no constants


@pytest.mark.parametrize("name", FRONT_ENDS)
def test_a_tone_excites_the_bin_whose_centre_is_nearest(name: str) -> None:
    kind, config = FRONT_ENDS[name][:2]
    centres = frequencies(kind, config)
    front_end = build_front_end(kind, config).eval()
    chosen = np.linspace(config.mel_bins // 8, config.mel_bins - 2, 7).astype(int)
    time = torch.arange(config.sample_rate, dtype=torch.float64) / config.sample_rate
    tones = torch.stack([torch.sin(2 * math.pi * float(centres[k]) * time) for k in chosen]).float()
    middle = front_end(tones)[:, :, config.frames(config.sample_rate) // 2]
    # Mel bins are narrower than the DFT's at low frequencies, SincNet's bands overlap by 50 Hz.
    tolerance = 1 if kind in ("mel", "sincnet") else 0
    assert np.abs(middle.argmax(1).numpy() - chosen).max() <= tolerance


@pytest.mark.parametrize("kind", LEARNED_KINDS)
def test_gradients_reach_every_parameter(kind: str) -> None:
    front_end = build_front_end(*FRONT_ENDS[kind][:2])
    values = front_end.log(front_end(noise(2, 9000).float()))
    (values * noise(*values.shape)).sum().backward()
    for name, parameter in front_end.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        learns = parameter.detach() != 0 if kind == "trainable-stft" else torch.ones_like(parameter) > 0
        assert (parameter.grad != 0)[learns].all(), name  # bin 0 has no sine


@pytest.mark.parametrize("kind", LEARNED_KINDS)
def test_gradients_are_the_derivatives(kind: str) -> None:
    front_end = trained(kind, dataclasses.replace(TINY, mel_bins=2, fft=4))
    names, parameters = zip(*front_end.named_parameters(), strict=True)

    def values(waveform: Tensor, *learned: Tensor) -> Tensor:
        result = torch.func.functional_call(front_end, dict(zip(names, learned, strict=True)), waveform)
        return front_end.log(cast(Tensor, result))

    assert torch.autograd.gradcheck(values, (noise(1, 40).requires_grad_(), *parameters))


@pytest.mark.parametrize("kind", RIVALS)
def test_frame_i_is_centred_on_sample_i_hop(kind: str) -> None:
    config = dataclasses.replace(FRONT_ENDS[kind].config, hop=480)  # so that one frame alone hears a click
    off, tolerance = (5, 0.2) if kind == "cqt" else (60, 0.005)  # windows of 38 samples, and of 400
    clicks = torch.zeros(3, 8_000)
    for clip, place in enumerate((-off, 0, off)):
        clicks[clip, 4_800 + place] = 1.0
    energy = build_front_end(kind, config).eval()(clicks)[:, -8:].sum(1)
    assert energy.argmax(1).tolist() == [10, 10, 10]
    early, exact, late = energy[:, 10].tolist()
    assert early == pytest.approx(late, rel=tolerance)
    assert exact >= early


@pytest.mark.parametrize("kind", FRONT_END_KINDS)
def test_clips_of_a_batch_do_not_touch_and_mixed_precision_changes_nothing(kind: str) -> None:
    name = "paper" if kind == "mel" else kind
    front_end = build_front_end(*FRONT_ENDS[name][:2]).eval()
    batch = noise(3, 9001).float()
    values = front_end(batch)
    alone = torch.cat([front_end(clip[None]) for clip in batch])
    torch.testing.assert_close(values, alone, rtol=1e-5, atol=1e-6 * values.max().item())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(front_end(batch), values)


def test_leafs_logarithm_is_in_its_pcen_and_the_others_keep_theirs() -> None:
    values = torch.tensor([0.0, 1.0, 100.0])
    assert torch.equal(build_front_end("leaf", LEARNED).log(values), values)
    expected = (np.log(np.array([0.0, 1.0, 100.0]) + 1e-7) + 9.1) / 5
    np.testing.assert_allclose(build_front_end("cqt", CQT).log(values), expected, rtol=1e-6)


def test_constant_q_is_nnaudios() -> None:
    """nnAudio 0.3.4, CQT1992v2(8000, hop_length=100, fmin=440, n_bins=12, bins_per_octave=4), squared."""
    time = np.arange(401)
    signal = np.sin(2 * np.pi * 660 * time / 8000) * np.exp(-time / 200)
    signal += 0.3 * np.cos(2 * np.pi * 2500 * time / 8000)
    config = dataclasses.replace(
        TINY, window=256, hop=100, mel_bins=12, low=440.0, high=3520.0, minimum_samples=300
    )
    power = build_front_end("cqt", config)(torch.from_numpy(signal).float()[None])[0]
    expected = [
        [2.119462, 8.123133, 1.752890, 2.218796, 3.624833, 1.329227,
         0.3869154, 0.1495710, 0.1049982, 0.006758916, 0.1669318, 0.03275374],
        [0.001022734, 0.1537573, 2.021104, 1.263731, 0.1103714, 7.753885e-05,
         0.0006989784, 6.311510e-06, 0.0002616128, 0.09667197, 0.3839647, 0.1216636],
    ]  # fmt: skip
    np.testing.assert_allclose(power[:, [0, 2]].T, expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("gammatone", {}, ", ".join(FRONT_END_KINDS)),
        ("stft", {"mel_bins": 40}, "40 bins of 512 points; it has 256"),
        ("cqt", {"window": 4_485}, "window of 4486"),
        ("cqt", {"minimum_samples": 2_243}, "2243 samples"),
        ("cqt", {"low": 0.0}, "0 to 7680 Hz"),
    ],
)
def test_what_cannot_be_built_is_refused(kind: str, changes: dict[str, float], message: str) -> None:
    config = dataclasses.replace(STFT if kind == "stft" else CQT, **changes)
    with pytest.raises(UsageError, match=re.escape(message)):
        build_front_end(kind, config)
    if kind == "gammatone":
        with pytest.raises(UsageError, match=re.escape(message)):
            frequencies(kind, config)


@pytest.mark.parametrize("kind", RIVALS)  # mel: test_mel.py
def test_onnx_gives_the_same_at_lengths_it_never_saw(kind: str) -> None:
    config = FRONT_ENDS[kind].config
    front_end = trained(kind, config).float()
    session = exported(front_end, noise(2, 40_000).float())
    least, hop = config.minimum_samples, config.hop
    for batch, samples in [(1, 2), (3, hop - 1), (1, least), (2, least + 1), (1, 70_001)]:
        waveform = noise(batch, samples).float()
        values, expected = run(session, waveform), front_end(waveform).detach()
        assert values.shape == expected.shape == (batch, config.mel_bins, config.frames(samples))
        assert (values - expected).abs().max() < 1e-5 * expected.max() + 1e-12
        assert (front_end.log(values) - front_end.log(expected)).abs().max() < 1e-4  # what `export` allows
