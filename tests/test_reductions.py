"""The paper's rivals and ablations, against loops and torch's own pooling."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import onnxruntime
import pytest
import references as slow
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool1d, adaptive_max_pool1d

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.frontend import PAPER
from diffres_cli.checkpoint.parts import REDUCTIONS
from diffres_cli.checkpoint.variant import Variant
from diffres_cli.errors import ModelError
from diffres_cli.nn.export import checked_onnx
from diffres_cli.nn.importance import ImportanceNetwork, rescale
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.reductions import ConvolutionBlocks, EvenReduction, pick_frames
from diffres_cli.nn.warp import Overlaps, merge_mean, overlaps, resolution_encoding
from diffres_cli.nn.weights import load_network, save_network

RIVALS = [name for name in REDUCTIONS if name != "diffres"]
AWKWARD = [(100, 25), (100, 50), (99, 33), (101, 25), (101, 76), (50, 50), (7, 3), (9, 8), (3, 1)]


def network(architecture: str = "mobilenet_v3_large", **switches: object) -> DiffResNetwork:
    torch.manual_seed(0)
    card = ModelCard(
        "x", architecture, ("a", "b"), ("", ""), PAPER, "MIT", "", width=0.3, minimum_fps=20.0,
        variant=Variant(**switches),  # type: ignore[arg-type]
    )  # fmt: skip
    return DiffResNetwork(card).eval()


def pooled(frames: Tensor, reduction: str, output_frames: int) -> Tensor:
    module: EvenReduction = REDUCTIONS.load(reduction)(frames.shape[1])
    return module(frames, output_frames).mean


def even(frames: Tensor, output_frames: int) -> Overlaps:
    return overlaps(rescale(torch.ones_like(frames[:, 0]), output_frames), output_frames)


def bursts(batch: int, samples: int) -> Tensor:
    generator = torch.Generator().manual_seed(samples)
    level = (torch.arange(samples) / 3000).sin().square()
    return 0.3 * torch.randn(batch, samples, generator=generator) * level


@pytest.mark.parametrize(("frames", "output_frames"), AWKWARD)
def test_pooling_shares_time_out_evenly(frames: int, output_frames: int) -> None:
    x = torch.rand(2, 5, frames, dtype=torch.float64)
    edges = np.linspace(0, frames, output_frames + 1)
    for row, (start, end) in enumerate(pairwise(edges)):
        overlap = np.minimum(np.arange(frames) + 1, end) - np.maximum(np.arange(frames), start)
        inside = overlap > 1e-9
        mean = (x[..., inside] * torch.from_numpy(overlap[inside])).sum(2) / (end - start)
        largest = x[..., inside].amax(2)
        for reduction, expected in {
            "average-pool": mean, "max-pool": largest, "average-max-pool": (mean + largest) / 2
        }.items():  # fmt: skip
            got = pooled(x, reduction, output_frames)
            assert got.shape == (2, 5, output_frames)
            torch.testing.assert_close(got[..., row], expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize(("frames", "output_frames"), [(100, 25), (100, 50), (96, 32), (60, 60)])
def test_where_frames_divide_it_is_torchs_pooling(frames: int, output_frames: int) -> None:
    x = torch.rand(2, 5, frames)
    average, largest = (pooled(x, f"{name}-pool", output_frames) for name in ("average", "max"))
    torch.testing.assert_close(average, adaptive_avg_pool1d(x, output_frames))
    torch.testing.assert_close(largest, adaptive_max_pool1d(x, output_frames))


@pytest.mark.parametrize(("frames", "output_frames"), AWKWARD)
def test_the_nearest_frames_are_picked(frames: int, output_frames: int) -> None:
    x = torch.arange(float(frames)).expand(1, 2, -1)
    wanted = np.arange(output_frames) * frames / output_frames
    got = pick_frames(x, output_frames)[0, 0].numpy()
    assert (np.abs(got - wanted) <= 0.5).all()


@pytest.mark.parametrize(("frames", "output_frames"), AWKWARD)
def test_without_algorithm_1_every_frame_goes_whole_to_one_row(frames: int, output_frames: int) -> None:
    """Equation 5, by a loop: row i holds the frames whose running sum lies in (i, i + 1]."""
    importance = rescale(torch.rand(2, frames, dtype=torch.float64).square(), output_frames)
    x = torch.rand(2, 5, frames, dtype=torch.float64)
    expected = torch.zeros(2, 5, output_frames, dtype=torch.float64)
    for clip in range(2):
        spent = 0.0
        for frame in range(frames):
            spent += importance[clip, frame].item()
            row = min(output_frames - 1, max(0, int(np.ceil(spent - 1e-9)) - 1))
            expected[clip, :, row] += importance[clip, frame] * x[clip, :, frame]
    got = merge_mean(x, overlaps(importance, output_frames, split=False))
    torch.testing.assert_close(got, expected, atol=1e-12, rtol=0)
    constant = merge_mean(torch.ones_like(x), overlaps(importance, output_frames, split=False))
    assert constant.sum().item() == pytest.approx(2 * 5 * output_frames)  # each frame's weight is spent


def test_without_algorithm_1_rows_are_not_full() -> None:
    importance = rescale(torch.rand(1, 100, dtype=torch.float64).square(), 25)
    rows = merge_mean(torch.ones(1, 1, 100, dtype=torch.float64), overlaps(importance, 25, split=False))
    assert (rows - 1).abs().max() > 0.05


def test_parameter_counts() -> None:
    def count(module: torch.nn.Module) -> int:
        return sum(parameter.numel() for parameter in module.parameters())

    assert count(ConvolutionBlocks(128)) == 493_824
    assert count(ImportanceNetwork()) == count(ImportanceNetwork(dilation=4)) == 82_371
    plain = count(network(reduction="average-pool"))
    assert count(network()) - plain == 82_371
    assert count(network(reduction="conv-average-pool")) - plain == 493_824


@pytest.mark.parametrize("dilation", [1, 2, 4])
def test_the_context_of_the_importance_network(dilation: int) -> None:
    torch.manual_seed(0)
    net = ImportanceNetwork(8, dilation).double().eval()
    x = torch.rand(1, 8, 401, dtype=torch.float64, requires_grad=True)
    net(x)[0, 200].backward()
    heard = x.grad.abs().sum(1)[0].nonzero()  # type: ignore[union-attr]
    assert (heard.min().item(), heard.max().item()) == (200 - 20 * dilation, 200 + 20 * dilation)


@pytest.mark.parametrize("reduction", RIVALS)
def test_the_rate_is_chosen_at_each_call(reduction: str) -> None:
    net, waveform = network(reduction=reduction), bursts(2, 16_000)
    with torch.no_grad():
        for fps, output_frames in ((100, 101), (75, 76), (25, 25)):
            output = net(waveform, fps)
            assert output.merged.shape == (2, 128, output_frames)
            assert output.mel.shape == (2, 128, 101)
            assert output.importance.sum(1).tolist() == pytest.approx([output_frames] * 2, abs=1e-4)
            assert output.importance_logits is None


@pytest.mark.parametrize("reduction", RIVALS)
def test_rivals_tell_the_classifier_that_frames_are_evenly_spread(reduction: str) -> None:
    net, waveform = network(reduction=reduction), bursts(2, 16_000)
    seen = []
    net.backbone.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    with torch.no_grad():
        net(waveform, 25)
    even = resolution_encoding(overlaps(torch.full((2, 101), 25 / 101, dtype=torch.float64), 25), 128)
    torch.testing.assert_close(seen[0][:, 2], even)
    assert torch.equal(seen[0][:, 0], seen[0][:, 1])


@pytest.mark.parametrize("reduction", sorted(set(RIVALS) - {"conv-average-pool"}))
def test_at_full_rate_a_reduction_is_the_identity(reduction: str) -> None:
    with torch.no_grad():
        output = network(reduction=reduction)(bursts(2, 16_000), 100)
    torch.testing.assert_close(output.merged, output.mel, atol=1e-7, rtol=1e-5)


def test_a_larger_hop_and_picked_frames_agree_where_frames_divide() -> None:
    """At half the rate the frames of twice the hop are every second frame; in between they are others."""
    waveform = bursts(1, 15_999)
    larger, picked = network(reduction="hop"), network(reduction="frame-picking")
    with torch.no_grad():
        torch.testing.assert_close(larger(waveform, 50).merged, picked(waveform, 50).merged)
        assert not torch.allclose(larger(waveform, 40).merged, picked(waveform, 40).merged, rtol=0.1)


@pytest.mark.parametrize("reduction", sorted(set(RIVALS) - {"hop", "frame-picking"}))
def test_padding_takes_no_part(reduction: str) -> None:
    net, clip = network(reduction=reduction), bursts(1, 16_000)
    padded = torch.cat([clip, torch.zeros(1, 16_160)], 1)  # 101 of 202 frames are sound
    with torch.no_grad():
        alone = net(clip, 25)
        together = net(padded, 25, torch.tensor([16_000]))
    assert together.importance[0, 101:].abs().sum() == 0
    torch.testing.assert_close(together.importance[0, :101], alone.importance[0])
    # The window of the last frames reaches into the padding.
    torch.testing.assert_close(together.merged[..., :24], alone.merged[..., :24], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("switch", "channel"), [({"maximum": False}, 1), ({"encoding": False}, 2)], ids=["maximum", "encoding"]
)
def test_a_channel_that_is_switched_off_is_that_of_frames_all_alike(
    switch: dict[str, bool], channel: int
) -> None:
    waveform = bursts(1, 16_000)
    full, ablated = network(), network(**switch)
    with torch.no_grad():
        power = full.spectrogram(waveform, 25)
        importance = rescale(full.reduction.logits(power).sigmoid(), 25)
        features = [net.reduction.merge(power, importance, 25).features for net in (full, ablated)]
    even = resolution_encoding(overlaps(torch.full((1, 101), 25 / 101, dtype=torch.float64), 25), 128)
    expected = features[0][:, 0] if channel == 1 else even
    torch.testing.assert_close(features[1][:, channel], expected)
    others = [i for i in range(3) if i != channel]
    assert torch.equal(features[1][:, others], features[0][:, others])
    assert not torch.equal(features[1][:, channel], features[0][:, channel])


@pytest.mark.parametrize(
    "switches",
    [*({"reduction": name} for name in RIVALS), {"algorithm1": False}, {"maximum": False, "dilation": 4}],
    ids=str,
)
def test_every_variant_learns_and_survives_a_file(switches: dict[str, object], tmp_path) -> None:
    net = network(**switches).train()
    net(bursts(2, 16_000), 25).probabilities.sum().backward()
    assert [name for name, p in net.named_parameters() if p.grad is None] == []
    save_network(net, tmp_path / "net.safetensors")
    again = load_network(tmp_path / "net.safetensors")
    assert again.card == net.card
    with torch.no_grad():
        torch.testing.assert_close(
            again(bursts(1, 8_000), 20).probabilities, net.eval()(bursts(1, 8_000), 20).probabilities
        )


def test_a_change_of_hop_exports() -> None:
    """The one reduction that reads the waveform; the others lie between spectrogram and classifier."""
    graph, difference = checked_onnx(network("fcn4", reduction="hop"))  # few layers: to export takes long
    assert difference < 1e-4
    assert b"importance_logits" not in graph  # the command line would merge frames in DiffRes's plain way


class Reduction(nn.Module):
    """Spectrogram, importance and output_frames -> what the classifier sees."""

    def __init__(self, net: DiffResNetwork) -> None:
        super().__init__()
        self.net = net

    def forward(self, power: Tensor, importance: Tensor, output_frames: Tensor) -> Tensor:
        return self.net.reduction.merge(power, importance, output_frames.shape[0]).features


@pytest.mark.parametrize(
    "switches", [*({"reduction": name} for name in RIVALS if name != "hop"), {"algorithm1": False}], ids=str
)
def test_every_reduction_exports(switches: dict[str, object]) -> None:
    module, dynamic = Reduction(network(**switches)), torch.export.Dim.DYNAMIC
    sizes = ({0: dynamic, 2: dynamic}, {0: dynamic, 1: dynamic}, {0: dynamic})
    example = (torch.rand(2, 128, 70), torch.full((2, 70), 30 / 70), torch.zeros(30))
    program = torch.onnx.export(
        module, example, dynamo=True, opset_version=18, dynamic_shapes=sizes, verbose=False
    )
    session = onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    for batch, frames, output_frames in ((1, 101, 25), (3, 99, 33), (2, 64, 64)):
        power = torch.rand(batch, 128, frames)
        importance = rescale(torch.rand(batch, frames), output_frames).float()
        feeds = (power, importance, torch.zeros(output_frames))
        # An input that a reduction does not read is not among the graph's.
        given = dict(
            zip(("power", "importance", "output_frames"), (each.numpy() for each in feeds), strict=True)
        )
        (got,) = session.run(None, {each.name: given[each.name] for each in session.get_inputs()})
        with torch.no_grad():
            np.testing.assert_allclose(got, module(*feeds), atol=1e-4)


def test_a_variant_nobody_knows_is_refused() -> None:
    card = network().card
    metadata = card.to_metadata() | {"variant": '{"reduction": "median"}'}
    with pytest.raises(ModelError, match=r"median.*none of diffres, hop"):
        ModelCard.from_metadata(metadata, "x.onnx")
    older = {key: value for key, value in card.to_metadata().items() if key != "variant"}
    assert ModelCard.from_metadata(older, "x.onnx") == replace(card, variant=Variant())


def test_switches_of_diffres_are_not_those_of_a_rival() -> None:
    assert list(Variant(reduction="hop", front_end="leaf").faults()) == [
        "reduction 'hop' needs mel (front_end paper, audioset-small) or stft, not leaf"
    ]
    (fault,) = Variant(reduction="max-pool", dilation=2).faults()
    assert "switches of diffres, not of max-pool" in fault
    assert list(Variant(dilation=2, encoding=False).faults()) == []


def test_mean_of_even_importance_is_the_dense_product() -> None:
    x = torch.rand(1, 3, 101, dtype=torch.float64)
    warp = slow.warp_by_algorithm_1(np.full(101, 25 / 101), 25)
    got = pooled(x, "average-pool", 25)
    np.testing.assert_allclose(got[0], slow.mean_loop(x[0].numpy(), warp), atol=1e-9)
