"""A network as one safetensors file: nothing lost on the way, and plain words when it is not ours."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.find import find_model
from diffres_cli.checkpoint.frontend import PAPER
from diffres_cli.errors import ModelError, OutputError
from diffres_cli.nn.network import DiffResNetwork
from diffres_cli.nn.weights import load_network, network_from, save_network

CARD = ModelCard(
    name="tiny",
    architecture="mobilenet_v3_large",
    classes=("Glockenspiel", "Bicycle, tricycle", "Пение птиц"),
    class_ids=("/m/1", "/m/2", "/m/3"),
    mel=PAPER,
    license="CC-BY-4.0",
    trained_on="nothing",
    derived_from="chance",
    sample_duration=4.0,
    minimum_fps=12.5,
    maximum_fps=80.0,
    default_fps=33.3,
    multi_label=False,
    width=0.35,
)


@pytest.fixture(scope="module")
def network() -> DiffResNetwork:
    torch.manual_seed(0)
    return DiffResNetwork(CARD).eval()


@pytest.fixture
def saved(network: DiffResNetwork, tmp_path: Path) -> Path:
    path = tmp_path / "tiny.safetensors"
    save_network(network, path)
    return path


def test_weights_come_back_bit_for_bit_with_their_card(network: DiffResNetwork, saved: Path) -> None:
    back = load_network(saved)
    assert back.card == CARD
    assert not back.training
    assert back.state_dict().keys() == network.state_dict().keys()
    assert all(torch.equal(back.state_dict()[name], tensor) for name, tensor in network.state_dict().items())


def test_the_shipped_weights_describe_themselves() -> None:
    card = load_network(find_model("audioset-small", weights=True)).card
    assert (len(card.classes), card.width, card.sample_rate) == (527, 0.4, 32_000)


def test_any_tool_can_read_the_metadata(saved: Path) -> None:
    data = saved.read_bytes()
    metadata = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])["__metadata__"]
    assert metadata["sample_rate"] == "16000"
    assert metadata["sample_duration"] == "4.0"
    assert json.loads(metadata["classes"])[0] == "Glockenspiel"


def test_a_file_without_our_metadata_is_not_ours(network: DiffResNetwork, tmp_path: Path) -> None:
    path = tmp_path / "foreign.safetensors"
    save_file(network.state_dict(), path)
    with pytest.raises(ModelError, match=r"foreign\.safetensors: not a diffres model.*diffres export"):
        load_network(path)


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04 a zip file", b"\xff" * 100], ids=["empty", "zip", "noise"]
)
def test_another_kind_of_file_is_not_safetensors(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_network(path)


def test_a_truncated_file_is_told(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="not a safetensors file"):
        load_network(saved)


def test_weights_of_another_width_do_not_fit(network: DiffResNetwork) -> None:
    wider = replace(CARD, width=0.5)
    with pytest.raises(ModelError, match=r"here: weights do not fit mobilenet_v3_large .*size mismatch"):
        network_from(wider, network.state_dict(), "here")


def test_an_architecture_from_the_future_is_the_files_fault(network: DiffResNetwork) -> None:
    with pytest.raises(ModelError, match=r"here: architecture 'transformer': .*efficientnet_b0"):
        network_from(replace(CARD, architecture="transformer"), network.state_dict(), "here")


def test_missing_and_foreign_weights_are_named(network: DiffResNetwork) -> None:
    state = network.state_dict()
    state["stowaway"] = state.pop("importance.0.conv1.weight")
    with pytest.raises(
        ModelError, match=r"1 missing \(importance\.0\.conv1\.weight\), 1 unexpected \(stowaway\)"
    ):
        network_from(CARD, state, "here")


def test_only_batch_counters_may_be_missing(network: DiffResNetwork) -> None:
    state = {name: t for name, t in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    assert len(state) < len(network.state_dict())
    network_from(CARD, state, "here")


def test_a_folder_that_is_not_there_costs_nothing(network: DiffResNetwork, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        save_network(network, tmp_path / "absent" / "tiny.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_the_file_holds_weights_and_nothing_that_runs(saved: Path, network: DiffResNetwork) -> None:
    assert load_file(saved).keys() == network.state_dict().keys()
