"""`diffres eval`, and `diffres export` of a run: what goes in, what comes out, what is refused."""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path

import pytest
from command import EXAMPLES, Result, invoke
from evaluated import CLIPS, LABELS, write_dataset, write_map, write_run

from diffres_cli.evaluation.cardnotes import network_and_notes, run_notes
from diffres_cli.evaluation.runfolder import RunFolder
from diffres_cli.nn.publish import card_markdown


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("eval")


@pytest.fixture(scope="module", autouse=True)
def _cached_here(home: Path) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIFFRES_DATA", str(home / "cache"))
        yield


@pytest.fixture(scope="module")
def data(home: Path) -> Path:
    return write_dataset(home / "data")


@pytest.fixture
def run(tmp_path: Path, data: Path) -> Path:
    return write_run(tmp_path, data)


def refused(*arguments: str | Path, code: int = 2) -> str:
    """What is said of a request that is refused."""
    result = invoke("eval", *arguments)
    assert (result.code, result.out) == (code, "")
    return result.complaint


def rows_of(result: Result) -> list[dict[str, str]]:
    assert result.code == 0, result.err
    return list(csv.DictReader(result.out.splitlines()))


# --- a run


def test_a_run_is_measured_and_keeps_its_result(run: Path) -> None:
    result = invoke("eval", run, "--fps", "25,100")
    assert (result.code, result.err) == (0, f"diffres: kept in {run / 'evaluation.json'}\n")
    title, _, header, *rows = result.out.splitlines()
    assert title == f"folder, test, 6 classes: run, torch on cpu, {CLIPS} clips"
    assert header.split() == ["fps", "accuracy", "%", "mAP", "%", "AUC", "d'", "ms", "a", "clip"]
    kept = json.loads((run / "evaluation.json").read_text("utf-8"))
    assert [row.split()[0] for row in rows] == ["25", "100"]
    for row, rate in zip(rows, kept["rates"], strict=True):
        accuracy = rate["metrics"]["accuracy"]
        assert row.split()[1] == f"{100 * accuracy:.1f}"
        assert accuracy > 0.9
    assert kept["sha256"] == hashlib.sha256((run / "weights.safetensors").read_bytes()).hexdigest()
    assert (kept["dataset"], kept["splits"], kept["clips"]) == ("folder", ["test"], CLIPS)
    assert {"command", "machine", "versions"} <= kept.keys()


@pytest.mark.parametrize("options", [["--limit", "2"], ["--split", "validation"], ["-m", "audioset-small"]])
def test_what_is_not_the_runs_own_result_is_not_kept(run: Path, options: list[str], tmp_path: Path) -> None:
    extra = ["--map", str(write_map(tmp_path / "map.csv"))] if "-m" in options else []
    result = invoke("eval", run, "--fps", "25", *options, *extra)
    assert (result.code, result.err) == (0, "")
    assert not (run / "evaluation.json").exists()


def test_runs_are_seeds(run: Path, data: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path, data, noise=0.3, name="other")
    rows = rows_of(invoke("eval", run, other, "--fps", "50", "-f", "csv", "-q"))
    assert [row["model"] for row in rows] == ["run", "other"]
    assert float(rows[0]["accuracy"]) > float(rows[1]["accuracy"])
    for each in (run, other):
        kept = json.loads((each / "evaluation.json").read_text("utf-8"))
        assert kept["model"] == each.name
        assert kept["rates"][0]["metrics"]["accuracy"] == float(rows[each is other]["accuracy"])


def test_clips_of_the_training_are_warned_of_in_a_line(tmp_path: Path) -> None:
    data = write_dataset(tmp_path / "data", splits=("fold1", "fold2", "fold3"))
    run = write_run(tmp_path, data, fold=2)
    result = invoke("eval", run, "--fold", "all", "--limit", "1", "--fps", "25")
    assert "3 evaluations: mean ± standard deviation" in result.out
    assert result.err == (
        "diffres: warning: run was trained on fold1, fold3: these are not held-out figures\n"
    )


# --- outputs


def test_every_file_that_is_asked_for_is_written(run: Path, tmp_path: Path) -> None:
    names = {
        "-o": "found.json",
        "--per-class": "classes.csv",
        "--confusion": "confusion.csv",
        "--plot": "rates.svg",
    }
    words = [word for option, name in names.items() for word in (option, tmp_path / name)]
    result = invoke("eval", run, "--fps", "25,50", "-q", *words)
    assert (result.code, result.out, result.err) == (0, "", "")
    found = json.loads((tmp_path / "found.json").read_text("utf-8"))
    assert [each["fps"] for each in found["summary"]] == [25, 50]
    classes = list(csv.DictReader((tmp_path / "classes.csv").open()))
    assert [row["label"] for row in classes] == [*LABELS, *LABELS]
    confusion = list(csv.DictReader((tmp_path / "confusion.csv").open()))
    assert sum(int(row[label]) for row in confusion for label in LABELS) == 2 * CLIPS
    picture = (tmp_path / "rates.svg").read_text("utf-8")
    assert all(
        word in picture for word in ("Frame rate (fps)", "Accuracy (%)", "Time per clip (ms)", "folder, test")
    )


def test_a_confusion_matrix_is_drawn_at_the_highest_rate(run: Path, tmp_path: Path) -> None:
    assert invoke("eval", run, "--fps", "25,50", "-q", "--confusion", tmp_path / "c.svg").code == 0
    picture = (tmp_path / "c.svg").read_text("utf-8")
    assert all(f">{word}<" in picture for word in (*LABELS, "Guess", "Class", "folder, test, 50 fps"))


def test_nothing_but_the_result_goes_to_standard_output(run: Path) -> None:
    document = invoke("eval", run, "--fps", "25", "-f", "json")
    assert json.loads(document.out)["evaluations"][0]["clips"] == CLIPS


# --- refusals


def test_a_request_without_a_subject() -> None:
    assert refused() == "give a dataset and a model, or the folder of a training run"


def test_labels_that_do_not_fit(data: Path) -> None:
    said = refused("--dataset", "folder", "--data", data)
    assert said.startswith(
        "audioset-small does not fit folder: 6 of its 6 classes missing: 'bell' (nearest: 'Bell')"
    )
    assert "527 extra" in said
    assert "give a label map" in said


def test_folders_that_are_no_runs(tmp_path: Path, run: Path) -> None:
    assert refused(tmp_path / "nowhere").endswith(
        "nowhere: not a training run, no such folder: give what `diffres train` wrote, or a model"
    )
    assert "it holds no recipe.toml" in refused(EXAMPLES)
    (run / "weights.safetensors").unlink()
    assert "no weights.safetensors yet" in refused(run)
    (run / "weights.safetensors").touch()
    (run / "recipe.toml").write_text("[model]\n")
    assert "names no labelled dataset" in refused(run)
    (run / "recipe.toml").write_text("[model\n")
    assert "recipe.toml: not TOML" in refused(run)


def test_data_that_is_not_there(run: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert f"in {empty}; found nothing" in refused(run, "--data", empty)
    assert "no dataset 'esc-10'; nearest: 'esc10'" in refused("--dataset", "esc-10")
    assert "there are test (24), validation (6)" in refused(run, "--split", "train")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--fps", "15"], "--fps 15: run serves 20 to 100 frames per second"),
        (["--fps", "25,x"], "--fps x: expected a number"),
        (["--fps", "auto"], "--fps auto: expected a number"),
        (["--fold", "2"], "--fold 2: folder has no folds; its splits are test, validation"),
        (["--batch-size", "0"], "--batch-size 0: must be at least 1"),
        (["--limit", "0"], "--limit 0: must be at least 1"),
        (["--max-missing", "1.5"], "--max-missing 1.5: must be 0 to 1"),
        (["--backend", "jax"], "--backend jax: choose onnx or torch"),
        (["-f", "xml"], "--format xml: choose table, json, csv"),
        (["-o", "found.xml"], "--output found.xml: choose a suffix of .txt, .json, .csv, or give -f"),
        (["--plot", "p.jpg"], "p.jpg: a picture is .png, .svg or .pdf"),
        (["--confusion", "c.txt"], "c.txt: a picture is .png, .svg or .pdf"),
    ],
)
def test_options_that_cannot_be(run: Path, options: list[str], told: str) -> None:
    assert told in refused(run, *options)


@pytest.mark.parametrize("option", ["-o", "--per-class", "--confusion", "--plot"])
def test_an_output_without_a_folder_is_refused_before_the_work(
    run: Path, option: str, tmp_path: Path
) -> None:
    said = refused(
        run,
        option,
        tmp_path / "nowhere" / "found.csv" if option != "--plot" else tmp_path / "no" / "p.png",
        code=3,
    )
    assert "there is no folder" in said
    assert not (run / "evaluation.json").exists()


def test_several_labels_a_clip_have_no_confusions(tmp_path: Path, run: Path) -> None:
    data = write_dataset(tmp_path / "data")
    with (data / "clips.csv").open("a") as table:
        table.write("rain.ogg,rain;siren,3,4,train\n")
    said = refused(run, "--data", data, "--confusion", tmp_path / "c.csv")
    assert said == "--confusion: clips of folder may have several labels"
    rows = rows_of(invoke("eval", run, "--data", data, "--fps", "25", "-f", "csv", "-q"))
    assert "accuracy" not in rows[0]
    assert float(rows[0]["mAP"]) > 0.9


def test_a_run_without_numbers_is_not_exported(run: Path, tmp_path: Path) -> None:
    result = invoke("export", run, "-o", tmp_path / "shipped")
    assert (result.code, result.out) == (3, "")
    assert result.complaint.startswith(f"{run}: not evaluated: run `diffres eval {run}` first")
    assert not (tmp_path / "shipped").exists()
    network, notes = network_and_notes(run / "weights.safetensors", tmp_path / "alone.onnx")  # it has no card
    assert (network.card.name, notes) == ("alone", "")


def test_a_run_is_shipped_with_its_numbers(run: Path, tmp_path: Path) -> None:
    assert invoke("eval", run, "--fps", "25,100", "-q").code == 0
    (rate, _) = json.loads((run / "evaluation.json").read_text("utf-8"))["rates"]
    card = card_markdown(*network_and_notes(run / "weights.safetensors", tmp_path / "shipped"))
    assert "\n# shipped\n" in card
    assert f"| 25 | {100 * rate['metrics']['accuracy']:.1f} | {100 * rate['metrics']['mAP']:.1f} | " in card
    assert all(fact in card for fact in ("| trained on | the example sounds |", "| licence | MIT |"))


def test_other_checkpoints_ship_what_they_were_shipped_with(tmp_path: Path) -> None:
    weights = EXAMPLES.parent / "checkpoints" / "audioset-small" / "weights.safetensors"
    network, notes = network_and_notes(weights, tmp_path / "copy")
    assert network.card.name == "audioset-small"
    assert notes in (weights.parent / "README.md").read_text("utf-8")
    assert len(notes) > 500


def test_the_cards_sections_say_how_a_run_came_about(run: Path) -> None:
    assert invoke("eval", run, "--fps", "25", "-q").code == 0
    notes = run_notes(RunFolder(run))
    assert notes.startswith("## Evaluation\n\n| fps | accuracy % | mAP % | AUC | d' | ms a clip |\n")
    facts = (
        f"test: {CLIPS} clips of ", "torch on cpu", "Command: `", "Machine: ", "torchmetrics ",
        "- clips: 12 train, 6 validation\n", "- command: `diffres train --dataset folder`\n",
        "- code: commit c0ffee, changed\n", "```toml\n[data]\ndataset = \"folder\"",
    )  # fmt: skip
    assert [fact for fact in facts if fact not in notes] == []


def test_a_run_may_be_exported_unevaluated(run: Path) -> None:
    assert "was not measured" in run_notes(RunFolder(run), unevaluated=True)


def test_an_evaluation_of_other_weights_is_no_evaluation(run: Path, data: Path, tmp_path: Path) -> None:
    assert invoke("eval", run, "--fps", "25", "--limit", "2", "-q").code == 0
    assert invoke("eval", run, "--fps", "25", "-q").code == 0
    later = write_run(tmp_path / "later", data, noise=0.1)
    shutil.copy(later / "weights.safetensors", run)
    result = invoke("export", run, "-o", tmp_path / "out")
    assert result.code == 3
    assert result.complaint.endswith(f"of an older weights.safetensors: run `diffres eval {run}` again")


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"sha256": 1'])
def test_a_damaged_evaluation(run: Path, text: str, tmp_path: Path) -> None:
    (run / "evaluation.json").write_text(text)
    result = invoke("export", run, "-o", tmp_path / "out")
    assert result.code == 3
    assert "evaluation.json: " in result.complaint
    assert result.complaint.endswith(f"run `diffres eval {run}` again")
    assert not (tmp_path / "out").exists()


def test_a_run_is_no_place_for_its_export(run: Path) -> None:
    assert invoke("export", run, "-o", run).complaint == f"-o {run}: is the run itself; name another folder"
