"""The graph against the network: at edge-case lengths and rates, in its metadata, and when they disagree."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import references as slow
import torch
from exported_networks import CARD, Twins, bursts, session_of
from torch import Tensor

from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.checkpoint.find import find_model, read_model, read_parents
from diffres_cli.checkpoint.frontend import PAPER
from diffres_cli.errors import ModelError, OutputError, UsageError
from diffres_cli.inference.timing import output_frames_at
from diffres_cli.nn.export import OUTPUTS, TOLERANCE, export_onnx, largest_difference
from diffres_cli.nn.network import DiffResNetwork, NetworkOutput
from diffres_cli.nn.publish import notes_of, publish
from diffres_cli.nn.weights import load_network
from diffres_cli.tagging.tagger import load_tagger

FIXTURE = np.load(Path(__file__).parent / "fixtures" / "parity.npz")
CASES = [tuple(key.split("_")[1:]) for key in FIXTURE if key.startswith("prob_")]
SHIPPED = find_model("audioset-small")


@pytest.fixture(scope="session")
def twins(tmp_path_factory: pytest.TempPathFactory) -> Twins:
    """The suite's one export of DiffRes and a conditioned backbone: it takes long."""
    return Twins(tmp_path_factory.mktemp("export"))


@pytest.fixture(scope="module")
def shipped() -> onnxruntime.InferenceSession:
    return session_of(SHIPPED)


# --- one chain, four ways


@pytest.mark.parametrize("fps", [12.5, 33.3, 100.0])
@pytest.mark.parametrize("samples", [2, 159, 7_999, 8_001, 16_080, 20_161])
def test_loop_dense_torch_and_onnx_agree(twins: Twins, samples: int, fps: float) -> None:
    waveform = bursts(1, samples)
    output_frames = output_frames_at(fps, PAPER.frames(samples), 100.0)
    by_torch, by_onnx = twins.torch(waveform, fps), twins.onnx(waveform, fps)
    # float32 sums in another order; the issue allows 1e-4.
    for name in ("probabilities", "framewise", "embedding", "importance"):
        np.testing.assert_allclose(by_onnx[name], by_torch[name], atol=TOLERANCE, rtol=0, err_msg=name)
    logits, mel = by_torch["importance_logits"][0].astype(float), by_torch["mel"][0].astype(float)
    importance = slow.rescale_loop(1 / (1 + np.exp(-logits)), output_frames)
    by_loop = slow.mean_loop(mel[:4], slow.warp_by_algorithm_1(importance, output_frames))
    by_matrix = mel @ slow.warp_by_overlap(importance, output_frames).T
    np.testing.assert_allclose(by_torch["importance"][0], importance, atol=1e-6)
    np.testing.assert_allclose(by_matrix[:4], by_loop, atol=1e-9 * mel.max())
    for merged in (by_torch["merged"][0], by_onnx["merged"][0]):
        np.testing.assert_allclose(merged, by_matrix, rtol=1e-4, atol=1e-6 * mel.max())


def test_the_graph_hears(twins: Twins) -> None:
    # Twins that ignore their input agree, too.
    loud, other = twins.onnx(bursts(1, 32_000), 50), twins.onnx(bursts(1, 32_001), 50)
    assert np.abs(loud["embedding"] - other["embedding"]).max() > 100 * TOLERANCE
    assert loud["importance"].std() > 100 * TOLERANCE


def test_any_batch_runs_and_none_of_its_clips_knows(twins: Twins) -> None:
    waveform = bursts(5, 10_000)
    together = twins.onnx(waveform, 20)
    for clip in range(5):
        alone = twins.onnx(waveform[clip : clip + 1], 20)
        for name in OUTPUTS:
            np.testing.assert_allclose(
                together[name][clip], alone[name][0], rtol=1e-4, atol=1e-4, err_msg=name
            )


@pytest.mark.parametrize("fps", [12.5, 33.3, 100.0])
@pytest.mark.parametrize("samples", [2, 8_001, 20_161, 80_000])
def test_a_fixed_rate_computes_what_the_input_does(twins: Twins, samples: int, fps: float) -> None:
    waveform = bursts(2, samples)
    live = twins.onnx(waveform, fps)
    fixed = twins.fixed[fps].run(list(OUTPUTS), {"waveform": waveform.numpy()})
    for name, values in zip(OUTPUTS, fixed, strict=True):
        scale = max(1, np.abs(live[name]).max())
        np.testing.assert_allclose(values / scale, live[name] / scale, atol=1e-5, rtol=0, err_msg=name)


def test_a_rate_left_out_is_the_default(twins: Twins) -> None:
    waveform = bursts(1, 20_000)
    (merged,) = twins.session.run(["merged"], {"waveform": waveform.numpy()})
    np.testing.assert_array_equal(merged, twins.onnx(waveform, CARD.default_fps)["merged"])


@pytest.mark.parametrize(("clip", "fps"), CASES)
def test_the_shipped_graph_gives_the_released_numbers(
    shipped: onnxruntime.InferenceSession, clip: str, fps: str
) -> None:
    waveform, importance = FIXTURE[f"wave_{clip}"][None], FIXTURE[f"importance_{clip}_{fps}"]
    feed = {"waveform": waveform, "fps": np.array(fps, np.float32)}
    got = shipped.run(["probabilities", "importance"], feed)
    np.testing.assert_allclose(got[0][0], FIXTURE[f"prob_{clip}_{fps}"], atol=1e-4)
    np.testing.assert_allclose(got[1][0], importance, atol=1e-4)


# --- the file


def graphs(twins: Twins) -> list[onnx.ModelProto]:
    return [onnx.load(twins.path), onnx.load(SHIPPED)]


def test_graphs_are_valid_and_self_contained(twins: Twins) -> None:
    for graph in graphs(twins):
        onnx.checker.check_model(graph, full_check=True)
        assert [(entry.domain, entry.version) for entry in graph.opset_import if entry.domain == ""] == [
            ("", 18)
        ]
        assert {node.domain for node in graph.graph.node} <= {""}  # standard operators only
        assert not any(tensor.external_data for tensor in graph.graph.initializer)
    assert list(twins.path.parent.iterdir()) == [twins.path]


def test_inputs_outputs_and_sizes_have_names(twins: Twins) -> None:
    for graph, classes, features in zip(graphs(twins), (3, 527), (1280, 384), strict=True):
        shapes = {
            value.name: [dim.dim_value or dim.dim_param for dim in value.type.tensor_type.shape.dim]
            for value in (*graph.graph.input, *graph.graph.output)
        }
        assert shapes == {
            "waveform": ["batch", "samples"],
            "fps": [],
            "probabilities": ["batch", classes],
            "framewise": ["batch", "columns", classes],
            "importance": ["batch", "frames"],
            "mel": ["batch", 128, "frames"],
            "merged": ["batch", 128, "output_frames"],
            "embedding": ["batch", features],
        }
        inner = {
            dim.dim_param for value in graph.graph.value_info for dim in value.type.tensor_type.shape.dim
        }
        assert inner <= {"", "batch", "samples", "frames", "output_frames", "columns"}


def test_no_operator_adds_to_one_place_from_several_threads(twins: Twins) -> None:
    # ONNX Runtime's ScatterND loses updates of rows named twice (microsoft/onnxruntime #18048, #23396).
    for graph in graphs(twins):
        reductions = [
            (node.op_type, attribute.s.decode())
            for node in graph.graph.node
            for attribute in node.attribute
            if attribute.name == "reduction"
        ]
        assert {op for op, reduction in reductions if reduction != "none"} == {"ScatterElements"}


def test_a_graph_names_no_file_of_the_machine_that_made_it(twins: Twins) -> None:
    for path in (twins.path, SHIPPED):
        data = path.read_bytes()
        assert not any(trace in data for trace in (b"site-packages", b"diffres_cli", b"torch/nn", b"/home/"))


def test_metadata_says_everything_a_run_needs(twins: Twins) -> None:
    metadata = {entry.key: entry.value for entry in onnx.load(twins.path).metadata_props}
    assert metadata["sample_rate"] == "16000"
    assert metadata["sample_duration"] == "4.0"
    assert json.loads(metadata["classes"]) == ["Dog", "Rain, heavy", "Пение птиц"]
    assert json.loads(metadata["mel"])["hop"] == 160
    assert (metadata["minimum_fps"], metadata["default_fps"], metadata["maximum_fps"]) == (
        "12.5",
        "25.0",
        "100.0",
    )
    assert (metadata["license"], metadata["trained_on"]) == ("CC-BY-4.0", "nothing")
    assert ModelCard.from_metadata(metadata, "here") == CARD


def test_an_exported_file_tags(twins: Twins) -> None:
    tagger = load_tagger(twins.path)
    prediction = tagger.tag(bursts(1, 48_000)[0].numpy(), 16_000, min_confidence=0)
    assert prediction.fps == 25
    assert {label.label for label in prediction.labels} == set(CARD.classes)


# --- the refusal


class TwoFaced(DiffResNetwork):
    """Says something else once it is exported: `lie` more. Its features are large, as some networks' are."""

    def __init__(self, lie: float) -> None:
        card = ModelCard("liar", "mobilenet_v3_large", ("a",), ("1",), PAPER, "MIT", "nothing", width=0.35)
        super().__init__(card)
        self.lie = lie

    def forward_at(
        self, waveform: Tensor, output_frames: int, fps: float | Tensor, lengths: Tensor | None = None
    ) -> NetworkOutput:
        loudness = waveform.square().mean(1, keepdim=True)
        score = 0.5 * loudness.sigmoid() + self.lie * torch.compiler.is_exporting()
        frames = loudness[..., None].expand(-1, 128, output_frames)
        features, picture = 10_000 * (0.8 + score), frames[:, None]
        return NetworkOutput(score, score[:, None], loudness, frames, frames, features, picture, loudness)


def test_twins_found_equal(twins: Twins) -> None:
    assert twins.difference <= TOLERANCE


def test_a_changed_weight_is_a_difference() -> None:
    network = load_network(find_model("audioset-small", weights=True))
    with torch.no_grad():
        network.reduction.importance[2].conv1.bias[0] += 0.1
    assert largest_difference(network, read_model(SHIPPED).data) > TOLERANCE


def test_twins_that_differ_are_never_written(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"what was here before")
    with pytest.raises(ModelError, match=r"export refused: .* differ by 2\.0e-04 \(allowed 1e-04\)"):
        export_onnx(TwoFaced(2e-4), path)
    assert path.read_bytes() == b"what was here before"
    assert list(tmp_path.iterdir()) == [path]


def test_twins_that_compute_nonsense_are_never_published(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"export refused: .* not a finite number"):
        publish(TwoFaced(float("nan")), tmp_path / "mine")
    assert list(tmp_path.iterdir()) == []


def test_a_published_folder_is_complete_and_checks_out(tmp_path: Path) -> None:
    folder = tmp_path / "models" / "mine"
    assert publish(TwoFaced(5e-5), folder, notes="Heard nothing yet.") == pytest.approx(5e-5, rel=0.01)
    sums = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    assert set(sums) == {"README.md", "labels.csv", "model.onnx", "weights.safetensors"}
    assert {path.name for path in folder.iterdir()} == {*sums, "SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    card = (folder / "README.md").read_text("utf-8")
    assert all(fact in card for fact in ("16000 Hz", "20 to 100 fps", "MIT", "Heard nothing yet."))
    assert load_tagger(folder).card.name == "mine"


def test_a_network_of_one_rate_has_no_input_for_it(tmp_path: Path) -> None:
    network = TwoFaced(0)
    network.card = network.card.at_rate(25)
    publish(network, tmp_path)
    graph = onnx.load(tmp_path / "model.onnx")
    assert [value.name for value in graph.graph.input] == ["waveform"]
    metadata = {entry.key: entry.value for entry in graph.metadata_props}
    assert {metadata[f"{which}_fps"] for which in ("minimum", "maximum", "default")} == {"25.0"}
    tagger, waveform = load_tagger(tmp_path), bursts(1, 16_000)[0].numpy()
    assert tagger.tag(waveform, 16_000).windows[0].spectrogram.merged.shape == (128, 25)
    with pytest.raises(UsageError, match=r"fps 50: .* serves 25 frames per second"):
        tagger.tag(waveform, 16_000, fps=50)


def test_the_notes_of_a_card_and_its_table_of_parents_can_be_carried_on(tmp_path: Path) -> None:
    notes = "Heard nothing yet.\n\n## Limits\n\n| licence | of the notes |"
    table = b"mid,parent\n1,2\n"
    publish(TwoFaced(0), tmp_path, notes, table)
    assert notes_of(tmp_path).rstrip() == notes
    assert notes_of(tmp_path / "nowhere") == ""
    assert read_parents(tmp_path / "weights.safetensors") == table
    assert f"{hashlib.sha256(table).hexdigest()}  parents.csv" in (tmp_path / "SHA256SUMS").read_text()


def test_a_folder_that_cannot_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match=r"cannot make the folder .*file/mine"):
        publish(TwoFaced(0), tmp_path / "file" / "mine")
