"""Mel power: against the definition and torch.stft in float64, signals whose answer is known, ONNX."""

from __future__ import annotations

import dataclasses
import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from diffres_cli.checkpoint.frontend import AUDIOSET_SMALL, PAPER, MelConfig
from diffres_cli.errors import UsageError
from diffres_cli.nn.frontends.dft import PowerSpectrum, radices
from diffres_cli.nn.frontends.mel import MelSpectrogram, mel_filters

FIXTURE = np.load(Path(__file__).parent / "fixtures" / "parity.npz")
# An odd hop, a window that is no multiple of anything, a DFT that is no power of two.
ODD = MelConfig(
    sample_rate=8000, window=150, hop=77, fft=400, mel_bins=20, low=50.0, high=3900.0,
    pre_emphasis=0.9, periodic=True, minimum_samples=300,
)  # fmt: skip
TINY = dataclasses.replace(ODD, window=20, hop=8, fft=32, mel_bins=4, minimum_samples=30)
CONFIGS = pytest.mark.parametrize("config", [AUDIOSET_SMALL, PAPER, ODD], ids=["shipped", "paper", "odd"])


def mel_by_stft(waveform: Tensor, config: MelConfig) -> Tensor:
    """[B, N] -> [B, F, T] as the specification words it, with torch.stft in float64."""
    signal = pad(waveform.double(), (0, max(0, config.minimum_samples - waveform.shape[1])))
    if config.pre_emphasis:
        signal = signal[:, 1:] - config.pre_emphasis * signal[:, :-1]
    window = torch.hann_window(config.window, periodic=config.periodic, dtype=torch.float64)
    spectrum = torch.stft(
        signal, config.fft, config.hop, config.window, window, pad_mode="reflect", return_complex=True
    )
    return mel_filters(config).double() @ spectrum[:, :-1].abs() ** 2


def mel_by_definition(waveform: NDArray[np.float64], config: MelConfig) -> NDArray[np.float64]:
    """[N] -> [F, T] with one loop over frames and one over bins, nothing from torch."""
    signal = [*waveform, *[0.0] * (config.minimum_samples - len(waveform))]
    if config.pre_emphasis:
        signal = [after - config.pre_emphasis * before for before, after in pairwise(signal)]
    n, period = np.arange(config.window), config.window - (not config.periodic)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / period)
    mirror = 2 * (len(signal) - 1)
    columns = []
    for centre in range(0, len(signal) + 1, config.hop):
        places = np.abs(centre - config.window // 2 + n)
        frame = window * np.array([signal[min(place, mirror - place)] for place in places])
        waves = (np.exp(-2j * np.pi * k * n / config.fft) for k in range(config.fft // 2))
        columns.append([abs((frame * wave).sum()) ** 2 for wave in waves])
    return mel_filters(config).double().numpy() @ np.array(columns).T


def noise(*shape: int) -> Tensor:
    return torch.from_numpy(np.random.default_rng(sum(shape)).normal(0, 0.1, shape).astype(np.float32))


def relative_error(power: Tensor, expected: Tensor) -> float:
    """Largest error in any mel bin, as a share of the loudest bin of the same frame."""
    scale = expected.amax(dim=-2, keepdim=True).clamp_min(1e-12)
    return float(((power - expected).abs() / scale).max())


@pytest.mark.parametrize(
    "offset", ["2", "hop - 1", "hop", "hop + 1", "least - 1", "least", "least + 1", "odd"]
)
@CONFIGS
def test_mel_is_the_specification(config: MelConfig, offset: str) -> None:
    hop, least = config.hop, config.minimum_samples
    samples = {"2": 2, "hop - 1": hop - 1, "hop": hop, "hop + 1": hop + 1}
    samples |= {"least - 1": least - 1, "least": least, "least + 1": least + 1, "odd": 3 * least + 17}
    waveform = noise(2, samples[offset])
    power, expected = MelSpectrogram(config)(waveform), mel_by_stft(waveform, config)
    assert power.shape == expected.shape == (2, config.mel_bins, config.frames(samples[offset]))
    assert relative_error(power, expected) < 2e-6  # float32: measured 4e-7


@CONFIGS
def test_torch_stft_is_the_definition(config: MelConfig) -> None:
    waveform = noise(1, config.minimum_samples - 7)[:, -3 * config.window :]
    short = dataclasses.replace(config, minimum_samples=2 * config.window)
    expected = torch.from_numpy(mel_by_definition(waveform[0].double().numpy(), short))
    assert relative_error(mel_by_stft(waveform, short)[0], expected) < 1e-12
    assert relative_error(MelSpectrogram(short)(waveform)[0], expected) < 2e-6


@pytest.mark.parametrize("name", ["wave_siren10", "wave_pulses5", "wave_noise1", "wave_odd"])
def test_real_audio_after_the_logarithm(name: str) -> None:
    """What the networks see, from digital silence to full scale."""
    mel = MelSpectrogram(AUDIOSET_SMALL)
    waveform = torch.from_numpy(FIXTURE[name])[None]
    error = mel.log(mel(waveform)) - mel.log(mel_by_stft(waveform, AUDIOSET_SMALL))
    assert error.square().mean().sqrt() < 5e-6
    # One quiet bin beside a loud one; torch.stft in float32 errs by 3e-5 to 5e-5 on these too.
    assert error.abs().max() < 1e-4


@CONFIGS
def test_a_quiet_frame_stays_accurate_after_a_loud_one(config: MelConfig) -> None:
    waveform = noise(1, config.sample_rate)
    waveform[:, config.sample_rate // 2 :] *= 1e-5  # 100 dB down
    power, expected = MelSpectrogram(config)(waveform), mel_by_stft(waveform, config)
    assert expected[..., -1].sum() < 1e-8 * expected[..., 0].sum()
    assert relative_error(power, expected) < 2e-6  # of the same frame's loudest bin


@pytest.mark.parametrize("mel_bin", [3, 40, 90, 125])
@CONFIGS
def test_a_sine_lands_in_its_mel_bin(config: MelConfig, mel_bin: int) -> None:
    mel_bin = mel_bin * config.mel_bins // 128
    frequency = config.mel_frequencies[mel_bin]
    # At the nearest DFT bin: where filters are narrower than bins, its centre may lie in none.
    width = config.sample_rate / config.fft
    time = torch.arange(config.sample_rate, dtype=torch.float64) / config.sample_rate
    sine = torch.sin(2 * np.pi * round(frequency / width) * width * time).float()
    middle = MelSpectrogram(config)(sine[None])[0, :, config.frames(config.sample_rate) // 2]
    weights = mel_filters(config)[:, round(frequency / width)]
    assert middle.argmax() == weights.argmax()
    assert abs(int(middle.argmax()) - mel_bin) <= 1


def test_the_power_of_a_sine_is_known() -> None:
    """A sine of amplitude A on bin k: |X_k|^2 = (A / 2 * sum of the window)^2, and its sidelobes' shares."""
    window = np.hanning(801)[:800]
    spectrum = PowerSpectrum(window, radices(800))
    sine = 0.3 * np.sin(2 * np.pi * 100 * np.arange(spectrum.samples) / 800 + 0.7)
    power = spectrum(torch.from_numpy(sine).float()[None, :, None]).flatten()
    by_bin = power[torch.from_numpy(spectrum.bins.flatten()).argsort()]
    peak = (0.15 * window.sum()) ** 2
    torch.testing.assert_close(
        by_bin[99:102], torch.tensor([peak / 4, peak, peak / 4]).float(), rtol=1e-5, atol=0
    )
    assert by_bin[:98].max() < 1e-9 * peak


@pytest.mark.parametrize(
    ("split", "samples"),
    [
        ((16, 8, 8), 800),
        ((16, 8, 8), 1024),
        ((32, 32), 800),
        ((50, 8), 400),
        ((4, 3, 5), 60),
        ((6,), 5),
        ((2, 2, 2), 3),
    ],
)
def test_the_factorised_dft_is_the_dft(split: tuple[int, ...], samples: int) -> None:
    points = int(np.prod(split))
    rng = np.random.default_rng(0)
    window, frame = rng.normal(size=samples), rng.normal(size=samples)
    spectrum = PowerSpectrum(window, split)
    assert sorted(spectrum.bins.flatten()) == list(range(points // 2))
    assert (spectrum.bins // len(spectrum.bins) == np.arange(spectrum.bins.shape[1])).all()
    padded = np.pad(frame, (0, spectrum.samples - samples))
    power = spectrum(torch.from_numpy(padded).float()[None, :, None])[0, ..., 0].numpy()
    expected = np.abs(np.fft.rfft(window * frame, points)) ** 2
    np.testing.assert_allclose(power, expected[spectrum.bins], rtol=0, atol=1e-6 * expected.max())


def test_the_factorised_dft_multiplies_little() -> None:
    """The docstring's figure: 46 x 1,024 a frame, of 800 x 1,024."""
    spectrum = PowerSpectrum(np.hanning(800), radices(1024))
    numbers = spectrum.samples
    count = 0
    for i in range(spectrum.stages):
        pairs, rows, columns = spectrum.get_buffer(f"stage{i}").shape
        count += pairs * rows * columns * (numbers // (pairs * columns))
        numbers = numbers // (pairs * columns) * pairs * rows
    assert round(count / 1024) == 45


@pytest.mark.parametrize(("split", "samples"), [((7, 8), 20), ((4, 4), 17)])
def test_an_impossible_dft_is_refused(split: tuple[int, ...], samples: int) -> None:
    with pytest.raises(UsageError, match=rf"DFT of {np.prod(split)} points: .*{samples}"):
        PowerSpectrum(np.ones(samples), split)


@CONFIGS
def test_filters_are_kaldis(config: MelConfig) -> None:
    """Triangles on the scale 1127 ln(1 + f / 700), from the formula."""

    def kaldi(hertz: NDArray[np.float64]) -> NDArray[np.float64]:
        return 1127 * np.log1p(hertz / 700)

    edges = np.linspace(*kaldi(np.array([config.low, config.high])), config.mel_bins + 2)
    place = kaldi(np.arange(config.fft // 2) * config.sample_rate / config.fft)
    rising = (place - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - place) / np.diff(edges)[1:, None]
    expected = np.minimum(rising, falling).clip(min=0)
    np.testing.assert_allclose(mel_filters(config), expected, atol=5e-5)  # torchaudio's are float32


@pytest.mark.parametrize("points", [128, 512])
def test_1024_points_leave_no_filter_empty_and_fewer_do(points: int) -> None:
    fewer = dataclasses.replace(PAPER, window=120, hop=50, fft=points)
    assert (mel_filters(PAPER).sum(1) > 0).all()
    assert (mel_filters(fewer).sum(1) == 0).any()
    waveform = noise(1, 9000)
    assert relative_error(MelSpectrogram(fewer)(waveform), mel_by_stft(waveform, fewer)) < 2e-6


@CONFIGS
def test_frame_i_is_centred_on_sample_i_hop(config: MelConfig) -> None:
    config = dataclasses.replace(config, pre_emphasis=0.0, periodic=True)
    click = torch.zeros(1, 20 * config.hop + config.minimum_samples)
    click[0, 10 * config.hop] = 1.0
    energy = MelSpectrogram(config)(click)[0].sum(0)
    assert energy.argmax() == 10
    torch.testing.assert_close(energy[9], energy[11])


def test_a_short_waveform_is_padded_with_silence_at_its_end() -> None:
    mel, waveform = MelSpectrogram(AUDIOSET_SMALL), noise(1, 5000)
    assert torch.equal(mel(waveform), mel(pad(waveform, (0, 11_000))))
    assert not torch.equal(mel(waveform), mel(pad(waveform, (11_000, 0))))


@CONFIGS
def test_clips_of_a_batch_do_not_touch(config: MelConfig) -> None:
    mel, batch = MelSpectrogram(config), noise(3, 9001)
    torch.testing.assert_close(
        mel(batch), torch.cat([mel(clip[None]) for clip in batch]), rtol=1e-6, atol=1e-7
    )


def test_the_logarithm_is_the_specifications_and_survives_silence() -> None:
    log = MelSpectrogram(AUDIOSET_SMALL).log(torch.tensor([0.0, 1.0, 100.0]))
    expected = (np.log(np.array([0.0, 1.0, 100.0]) + 1e-5) + 4.5) / 5
    np.testing.assert_allclose(log, expected, rtol=1e-6)


def test_gradients_are_the_derivatives() -> None:
    mel = MelSpectrogram(TINY).double()
    waveform = noise(2, 41).double().requires_grad_()
    assert torch.autograd.gradcheck(mel, waveform)
    assert torch.autograd.gradcheck(lambda x: mel.log(mel(x)), noise(1, 11).double().requires_grad_())


def test_mixed_precision_leaves_the_mel_alone() -> None:
    mel, waveform = MelSpectrogram(AUDIOSET_SMALL), noise(1, 16_000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(mel(waveform), mel(waveform).float())
        half = mel(waveform)
    assert half.dtype == torch.float32
    assert torch.equal(half, mel(waveform))


@CONFIGS
def test_a_checkpoint_holds_no_mel_constants(config: MelConfig) -> None:
    mel = MelSpectrogram(config)
    assert not mel.state_dict()
    assert not list(mel.parameters())


@pytest.mark.parametrize("config", [AUDIOSET_SMALL, PAPER], ids=["shipped", "paper"])
def test_onnx_gives_the_same_at_lengths_it_never_saw(config: MelConfig) -> None:
    mel = MelSpectrogram(config).eval()
    dynamic = torch.export.Dim.DYNAMIC
    captured = torch.export.export(mel, (noise(2, 40_000),), dynamic_shapes=({0: dynamic, 1: dynamic},))
    buffer = io.BytesIO()
    torch.onnx.export(captured, opset_version=18, dynamo=True, optimize=False, verbose=False).save(buffer)
    session = onnxruntime.InferenceSession(buffer.getvalue(), providers=["CPUExecutionProvider"])
    least, hop = config.minimum_samples, config.hop
    for batch, samples in [
        (1, 2),
        (3, hop - 1),
        (2, hop + 1),
        (1, least - 1),
        (1, least),
        (2, least + 1),
        (1, 70_001),
    ]:
        waveform = noise(batch, samples)
        [power] = session.run(None, {session.get_inputs()[0].name: waveform.numpy()})
        expected = mel(waveform)
        assert power.shape == expected.shape
        assert relative_error(torch.from_numpy(power), expected) < 1e-6
