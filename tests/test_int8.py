"""INT8: what is quantised, that the rest is untouched, and that it is refused where it does not pay."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
import soundfile

from diffres_cli.audio import find_recordings
from diffres_cli.card import ModelCard
from diffres_cli.checkpoint import find_model, read_model
from diffres_cli.cli.main import run
from diffres_cli.errors import AudioError, ModelError, UsageError
from diffres_cli.model.int8 import RATES, Report, Row, accepted_int8, make_int8
from diffres_cli.model.publish import notes_of
from diffres_cli.model.quantize import quantize
from diffres_cli.runtime import OUTPUTS
from diffres_cli.tagger import Tagger, load_tagger

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted(path for path in (ROOT / "examples").iterdir() if path.suffix in (".flac", ".ogg"))
RATE = 32_000
GRAPH = read_model(find_model("audioset-small")).data


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return load_tagger().card


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every second of the examples, a file each: their order mixes them."""
    folder = tmp_path_factory.mktemp("pieces")
    for number, (name, samples) in enumerate(_seconds()):
        soundfile.write(folder / f"{number % 7}-{number:03}-{name}.wav", samples, RATE)
    return folder


def _seconds() -> Iterator[tuple[str, np.ndarray]]:
    for path in EXAMPLES:
        samples, rate = soundfile.read(path, dtype="float32")
        assert rate == RATE
        for second in range(len(samples) // RATE):
            yield path.stem, samples[second * RATE :][:RATE]


@pytest.fixture(scope="module")
def folder(pieces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint folder with both graphs. Whether INT8 is faster is up to the machine: --force."""
    folder = tmp_path_factory.mktemp("models") / "mine"
    words = ["export", "audioset-small", "-o", str(folder), "--int8", "--calibrate", str(pieces), "--force"]
    assert run(words) == 0
    return folder


@pytest.fixture(scope="module")
def graphs(folder: Path) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """Float and INT8."""
    return onnx.load(folder / "model.onnx"), onnx.load(folder / "model.int8.onnx")


@pytest.fixture(scope="module")
def taggers(folder: Path) -> list[Tagger]:
    return [load_tagger(folder / name, device="cpu") for name in ("model.onnx", "model.int8.onnx")]


def said(model: onnx.ModelProto) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}


def weights_of(node: onnx.NodeProto, model: onnx.ModelProto) -> tuple[str, bool]:
    """The name of a convolution's weights and whether they are int8, seen through DequantizeLinear."""
    makers = {output: maker for maker in model.graph.node for output in maker.output}
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    name = node.input[1]
    if name in makers:
        assert makers[name].op_type == "DequantizeLinear"
        name = makers[name].input[0]
    return name.removesuffix("_quantized"), types[name] == onnx.TensorProto.INT8


def test_just_the_pointwise_convolutions_are_quantised(
    graphs: tuple[onnx.ModelProto, onnx.ModelProto], folder: Path
) -> None:
    plain, model = graphs
    onnx.checker.check_model(model)
    convolutions = [weights_of(node, model) for node in model.graph.node if node.op_type == "Conv"]
    before = {w.name: tuple(w.dims) for w in plain.graph.initializer}
    assert {name for name, _ in convolutions} <= before.keys()
    for name, quantised in convolutions:
        inside = name.startswith("network.backbone.features.") and ".fc" not in name
        assert quantised == (inside and before[name][2:] == (1, 1)), name
    assert sum(quantised for _, quantised in convolutions) == 30
    assert not any(node.op_type == "QuantizeLinear" for node in plain.graph.node)
    assert (folder / "model.int8.onnx").stat().st_size < (folder / "model.onnx").stat().st_size


def test_weights_have_a_scale_for_each_output_channel(
    graphs: tuple[onnx.ModelProto, onnx.ModelProto],
) -> None:
    model = graphs[1]
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    scales = [
        (tensors[node.input[0]].dims[0], tensors[node.input[1]].dims)
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in tensors
        and tensors[node.input[0]].data_type == onnx.TensorProto.INT8
    ]  # fmt: skip
    assert len(scales) == 30
    assert all(list(dims) == [channels] for channels, dims in scales)


def test_the_front_end_is_untouched_and_the_scores_are_near(taggers: list[Tagger]) -> None:
    for path in EXAMPLES[:3]:
        ours, theirs = (t.tag(path, fps=50, framewise=True).windows[0] for t in taggers)
        assert ours.spectrogram is not None
        assert theirs.spectrogram is not None
        for part in ("mel", "importance", "merged"):
            assert np.array_equal(getattr(ours.spectrogram, part), getattr(theirs.spectrogram, part))
        assert np.abs(ours.probabilities - theirs.probabilities).mean() < 2e-3
        assert not np.array_equal(ours.probabilities, theirs.probabilities)


def test_the_twin_has_the_same_signature_and_metadata_and_says_what_it_is(
    graphs: tuple[onnx.ModelProto, onnx.ModelProto],
) -> None:
    before, after = graphs
    assert [node.name for node in after.graph.input] == [node.name for node in before.graph.input]
    assert [node.name for node in after.graph.output] == list(OUTPUTS)
    assert after.producer_name == before.producer_name == "diffres"
    facts = said(after)
    report = json.loads(facts.pop("quantization"))
    assert facts == said(before)
    assert report["scheme"].startswith("INT8")
    assert [row["fps"] for row in report["rows"]] == list(RATES)


def test_the_report_is_of_the_windows_the_calibration_did_not_hear(
    graphs: tuple[onnx.ModelProto, onnx.ModelProto], taggers: list[Tagger], pieces: Path
) -> None:
    held_out = sorted(pieces.iterdir())[1::2]
    ours, theirs = (
        np.array([tagger.tag(path, fps=25, spectrogram=False).windows[0].probabilities for path in held_out])
        for tagger in taggers
    )
    report = json.loads(said(graphs[1])["quantization"])
    row = report["rows"][0]
    assert report["windows"] == len(held_out) >= 20
    assert row["agreement"] == pytest.approx(np.mean(ours.argmax(1) == theirs.argmax(1)))
    assert row["largest"] == pytest.approx(np.abs(ours - theirs).max(), abs=1e-4)
    assert row["mean"] == pytest.approx(np.abs(ours - theirs).mean(), abs=1e-5)
    assert 0.2 < row["time"] < 5


def test_the_card_and_the_checksums_know_it(
    folder: Path, graphs: tuple[onnx.ModelProto, onnx.ModelProto], taggers: list[Tagger]
) -> None:
    sums = dict(reversed(line.split("  ")) for line in (folder / "SHA256SUMS").read_text().splitlines())
    for name in ("model.onnx", "model.int8.onnx", "README.md"):
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == sums[name]
    card = (folder / "README.md").read_text("utf-8")
    row = json.loads(said(graphs[1])["quantization"])["rows"][-1]
    assert card.rstrip().splitlines()[-1].startswith(f"| 100 | {row['agreement']:.1%} | ")
    assert "## Limits" in card
    assert "## Limits" in notes_of(folder)  # of the model, and not of what was made of it
    assert "INT8" not in notes_of(folder)
    assert [tagger.card.name for tagger in taggers] == ["mine", "mine-int8"]
    assert find_model(folder) == folder / "model.onnx"


def test_a_graph_without_pointwise_convolutions_is_refused() -> None:
    node = onnx.helper.make_node("Relu", ["x"], ["y"], name="only")
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None]) for name in "xy"]
    graph = onnx.helper.make_model(onnx.helper.make_graph([node], "g", ends[:1], ends[1:]))
    with pytest.raises(ModelError, match="no pointwise convolutions"):
        quantize(graph.SerializeToString(), [])


# --- when it pays


@pytest.mark.parametrize(
    ("agreement", "time", "faults"),
    [
        (1.0, 0.5, []),
        (0.95, 0.99, []),
        (1.0, 1.0, ["it is not faster (up to 1.00 of float's time)"]),
        (0.94, 0.5, ["its best label agrees for 94.0% only (at least 95%)"]),
        (0.5, 2.0, ["it is not faster (up to 2.00 of", "its best label agrees for 50.0% only"]),
    ],
)
def test_it_must_be_faster_and_agree_at_every_rate(agreement: float, time: float, faults: list[str]) -> None:
    good, row = Row(25, 1.0, 0.0, 0.0, 0.1), Row(50, agreement, 0.1, 0.01, time)
    for rows in ((good, row), (row, good)):
        found = Report(20, rows).faults
        assert len(found) == len(faults)
        assert all(text.startswith(start) for text, start in zip(found, faults, strict=True))


def test_what_was_calibrated_on_silence_is_refused(tmp_path: Path, pieces: Path, card: ModelCard) -> None:
    for number, path in enumerate(sorted(pieces.iterdir())[:20]):
        soundfile.write(tmp_path / f"{number:02}-a.wav", np.zeros(RATE), RATE)  # these calibrate
        soundfile.write(tmp_path / f"{number:02}-b.wav", soundfile.read(path)[0], RATE)  # these compare
    told: list[Report] = []
    with pytest.raises(ModelError, match=r"INT8 refused: .*its best label agrees for .* only") as refused:
        accepted_int8(GRAPH, card, find_recordings([tmp_path]), on_report=told.append)
    assert refused.value.exit_code == 3
    assert [report.windows for report in told] == [20]


def test_too_little_or_unreadable_audio_is_refused(pieces: Path, card: ModelCard, tmp_path: Path) -> None:
    few = sorted(pieces.iterdir())[:39]
    with pytest.raises(UsageError, match=r"--calibrate: 39 windows of up to 10 s; give at least 40"):
        make_int8(GRAPH, card, few)
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"RIFF")
    with pytest.raises(AudioError, match="broken"):
        make_int8(GRAPH, card, [broken])
    with pytest.raises(AudioError, match="nowhere"):
        make_int8(GRAPH, card, find_recordings([tmp_path / "nowhere"]))


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--int8"], "--int8: add --calibrate AUDIO"),
        (["--calibrate", "a.wav"], "--calibrate: is for --int8"),
        (["--force"], "--force: is for --int8"),
    ],
)
def test_options_that_make_no_sense_are_refused(
    options: list[str], complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["export", "audioset-small", "-o", str(tmp_path / "x.onnx"), *options]) == 2
    assert complaint in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
