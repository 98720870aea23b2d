"""`DiffRes` between a spectrogram and a classifier of one's own; parts by name and by import path."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import references as slow
import torch
from command import invoke
from front_end_cases import exported, run
from torch import Tensor, nn
from training_runs import options, write_clips

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.frontend import PAPER
from diffres_cli.checkpoint.parts import (
    BACKBONES,
    FRONT_END_KINDS,
    FRONT_ENDS,
    IMPORTANCE_NETWORKS,
    REDUCTIONS,
)
from diffres_cli.checkpoint.registry import TRUST_VARIABLE
from diffres_cli.checkpoint.variant import Variant
from diffres_cli.errors import ModelError, UsageError
from diffres_cli.nn import DiffRes
from diffres_cli.nn.classifier import build_backbone
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.weights import load_network, save_network

MODULE = """
import torch
from torch import nn

class Linear(nn.Module):
    def __init__(self, bins, dilation):
        super().__init__()
        self.score = nn.Conv1d(bins, 1, 1)

    def forward(self, log_power):
        return self.score(log_power).squeeze(1)

class Plain:
    pass

def nothing(*arguments):
    return None

class Unlike(nn.Module):
    pass
"""
OWN = "somebodys_nets:Linear"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A module of somebody else's that Python finds."""
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "somebodys_nets.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path / "package")
    return tmp_path


def spectrogram(batch: int = 2, bins: int = 24, frames: int = 40) -> Tensor:
    generator = torch.Generator().manual_seed(frames)
    return torch.rand(batch, bins, frames, generator=generator, dtype=torch.float64) ** 6


@pytest.mark.parametrize("bins", [24, 23])  # an odd number leaves the encoding's last sine without cosine
@pytest.mark.parametrize("output_frames", [1, 13, 40])
def test_diffres_is_the_papers_equations(bins: int, output_frames: int) -> None:
    torch.manual_seed(0)
    diffres, power = DiffRes(bins).double().eval(), spectrogram(bins=bins)
    with torch.no_grad():
        output = diffres(power, output_frames)
        scores = diffres.importance(diffres.log(power)).sigmoid().numpy()
    for clip in range(2):
        importance = slow.rescale_loop(scores[clip], output_frames)
        warp = slow.warp_by_algorithm_1(importance, output_frames)
        x = power[clip].numpy()
        np.testing.assert_allclose(output.importance[clip], importance, atol=1e-9)
        np.testing.assert_allclose(output.mean[clip], slow.mean_loop(x, warp), atol=1e-9)
        np.testing.assert_allclose(output.maximum[clip], slow.max_loop(x, warp), atol=1e-9)
        np.testing.assert_allclose(output.encoding[clip], slow.encoding_loop(bins, warp), atol=1e-5)
        np.testing.assert_allclose(output.features[clip, 0], (np.log(output.mean[clip] + 1e-5) + 4.5) / 5)
    assert output.features.shape == (2, 3, bins, output_frames)


def test_losses_are_those_of_the_frames_without_sound() -> None:
    power = spectrogram()
    power[0, :, 10:20] = 0
    mask = torch.ones(2, 40, dtype=torch.bool)
    mask[1, 30:] = False
    output = DiffRes(24).double()(power, 15, mask)
    empty = torch.zeros(2, 40, dtype=torch.bool)
    empty[0, 10:20] = True
    assert torch.equal(output.empty, empty)
    importance = output.importance.detach().numpy()
    expected = slow.guide_loss_loop(importance, empty.numpy(), 15)
    assert output.guide_loss.item() == pytest.approx(expected, abs=1e-9)
    for clip, got in enumerate(output.activeness):
        silent = (empty | ~mask)[clip].numpy()
        assert got.item() == pytest.approx(slow.activeness_loop(importance[clip], silent, 15), abs=1e-9)
    output.guide_loss.backward()
    assert (output.importance[1, 30:] == 0).all()


def test_gradients_reach_every_parameter() -> None:
    diffres = DiffRes(24)
    diffres(spectrogram().float(), 15).features.square().sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in diffres.parameters())


def test_it_exports_in_front_of_a_network() -> None:
    class Mine(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.diffres, self.convolution = DiffRes(24), nn.Conv2d(3, 2, 3)

        def forward(self, loudness: Tensor, frames: Tensor) -> Tensor:
            power = loudness.unsqueeze(1) * torch.linspace(1, 0, 24).unsqueeze(1)
            scores: Tensor = self.convolution(self.diffres(power, frames.shape[0]).features).mean((2, 3))
            return scores

    module = Mine().eval()
    session = exported(module, torch.rand(2, 40), torch.zeros(15))
    inputs = torch.rand(3, 70), torch.zeros(33)
    torch.testing.assert_close(run(session, *inputs), module(*inputs), atol=1e-5, rtol=0)


def test_wrong_shapes_are_refused_with_what_is_allowed() -> None:
    diffres = DiffRes(24)
    for power, frames, words in (
        (spectrogram(bins=23), 5, r"\[batch, 24, frames\]"),
        (spectrogram()[0], 5, r"\(24, 40\)"),
        (spectrogram(), 41, "output_frames is 41, must be 1 to 40"),
        (spectrogram(), 0, "must be 1 to 40"),
    ):
        with pytest.raises(UsageError, match=words):
            diffres(power.float(), frames)


@pytest.mark.parametrize("value", [2.5, "x", None, True])
def test_output_frames_and_mel_bins_are_whole_numbers(value: Any) -> None:
    with pytest.raises(UsageError, match=f"output_frames is {value!r}, must be a whole number"):
        DiffRes(24)(spectrogram().float(), value)
    with pytest.raises(UsageError, match=f"mel_bins is {value!r}, must be a whole number"):
        DiffRes(value)


@pytest.mark.parametrize("value", [0, -1])
def test_there_is_at_least_one_mel_bin(value: int) -> None:
    with pytest.raises(UsageError, match=f"mel_bins is {value}, must be a whole number from 1"):
        DiffRes(value)


def test_whole_numbers_of_numpy_will_do() -> None:
    assert DiffRes(24)(spectrogram().float(), np.int64(15)).mean.shape == (2, 24, 15)  # type: ignore[arg-type]


@pytest.mark.parametrize("wrong", [-30.0, float("nan")])
def test_decibels_are_no_power(wrong: float) -> None:
    power = spectrogram().float()
    power[1, 2, 3] = wrong
    with pytest.raises(UsageError, match="power must be linear, not dB"):
        DiffRes(24)(power, 15)
    power = power.nan_to_num(-30.0)
    assert DiffRes(24, log=lambda values: values)(power, 15).mean.shape == (2, 24, 15)


def test_it_can_be_traced() -> None:
    diffres, power = DiffRes(24).eval(), spectrogram().float()

    class Features(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.diffres = diffres

        def forward(self, power: Tensor, frames: Tensor) -> Tensor:
            features: Tensor = self.diffres(power, frames.shape[0]).features
            return features

    inputs = power, torch.zeros(15)
    traced = torch.jit.trace(Features(), inputs)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(traced(*inputs), diffres(power, 15).features)


# --- the network is made of it, and its files keep their names


def card(**changes: object) -> ModelCard:
    made = ModelCard("x", "mobilenet_v3_large", ("a", "b"), ("", ""), PAPER, "MIT", "", width=0.1)
    return replace(made, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("reduction", "part"),
    [("diffres", "importance.4.conv1.weight"), ("conv-average-pool", "convolutions.0.conv1.bias")],
)
def test_weights_keep_the_names_of_older_files(reduction: str, part: str) -> None:
    network = DiffResNetwork(card(variant=Variant(reduction=reduction)))
    state = nn.ModuleDict({"network": network}).state_dict()
    assert {name.split(".")[1] for name in state} == {part.split(".")[0], "backbone"}
    assert f"network.{part}" in state
    other = nn.ModuleDict({"network": copy.deepcopy(network)})
    for parameter in other.parameters():
        nn.init.zeros_(parameter)
    other.load_state_dict(state)
    assert all(torch.equal(value, state[name]) for name, value in other.state_dict().items())


# --- registries


def test_every_registered_part_can_be_imported() -> None:
    for registry in (FRONT_END_KINDS, IMPORTANCE_NETWORKS, REDUCTIONS, BACKBONES):
        for name in registry:
            assert callable(registry.load(name))
    assert {spec.kind for spec in FRONT_ENDS.values()} == set(FRONT_END_KINDS)


@pytest.mark.usefixtures("package")
def test_a_part_is_found_by_its_import_path() -> None:
    assert DiffRes(24, importance=OWN)(spectrogram().float(), 15).mean.shape == (2, 24, 15)
    for name, words in {
        "resconv2d": "choose resconv1d, resconv1d-novelty, or an import path",
        "nowhere_at_all:Net": "cannot be imported",
        "somebodys_nets:Absent": "cannot be imported",
    }.items():
        with pytest.raises(UsageError, match=words):
            DiffRes(24, importance=name)


@pytest.mark.parametrize("name", ["Plain", "nothing", "torch", "Unlike"])
@pytest.mark.usefixtures("package")
def test_what_makes_no_part_is_refused(name: str, tmp_path: Path) -> None:
    path = f"somebodys_nets:{name}"
    said = f"{path}: .*Module"
    with pytest.raises(UsageError, match=f"importance network {said}"):
        DiffRes(24, importance=path)
    with pytest.raises(UsageError, match=f"architecture {said}"):
        build_backbone(path, 2)
    for field, base in (("front_end", "FrontEnd"), ("reduction", "Reduction")):
        with pytest.raises(UsageError, match=f"{path}: .*{base}"):
            DiffResNetwork(card(variant=Variant(**{field: path})))  # type: ignore[arg-type]


@pytest.mark.usefixtures("one_cache", "package")
def test_training_refuses_what_is_no_module(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips", train=2)
    said = invoke(*options(clips, tmp_path / "run", model__importance="somebodys_nets:Plain"))
    assert (said.code, "somebodys_nets:Plain" in said.err, "unexpected" in said.err) == (2, True, False)


@pytest.mark.usefixtures("package")
def test_a_model_file_chooses_no_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "net.safetensors"
    save_network(DiffResNetwork(card(variant=Variant(importance=OWN))), path)
    with pytest.raises(ModelError, match=rf"{OWN}.*{TRUST_VARIABLE}.*load_network\(trusted"):
        load_network(path)
    with pytest.raises(ModelError, match=OWN):
        load_network(path, trusted=["somebodys_nets:Other"])
    assert load_network(path, trusted=[OWN]).card.variant.importance == OWN
    monkeypatch.setenv(TRUST_VARIABLE, OWN)
    assert load_network(path).card.import_paths == [OWN]


@pytest.mark.parametrize("field", ["front_end", "reduction", "importance"])
def test_a_card_with_an_import_path_imports_nothing(field: str) -> None:
    made = card(variant=Variant(**{field: "nowhere_at_all:Thing"}))  # type: ignore[arg-type]
    read = ModelCard.from_metadata(made.to_metadata(), "x.onnx")
    assert read.import_paths == ["nowhere_at_all:Thing"]


@pytest.mark.usefixtures("one_cache", "package")
def test_training_takes_an_importance_network_by_import_path(tmp_path: Path) -> None:
    clips = write_clips(tmp_path / "clips", train=2)
    made = invoke(*options(clips, tmp_path / "run", model__importance=OWN, training__epochs=1))
    assert made.code == 0, made.err
    weights = tmp_path / "run" / "weights.safetensors"
    state = load_network(weights, trusted=[OWN]).state_dict()
    assert state["importance.score.weight"].shape == (1, 128, 1)
    refused = invoke("train", "--init", weights, "--dataset", "folder", "--data", clips, "-o", tmp_path / "b")
    assert (refused.code, OWN in refused.err) == (3, True)


def test_a_recipe_lists_what_there_is(tmp_path: Path) -> None:
    refused = invoke(
        "train", "--dataset", "esc50", "--set", "model.importance=attention", "-o", tmp_path / "x"
    )
    assert refused.code == 2
    assert all(name in refused.err for name in ("model.importance", "resconv1d", "import path"))
