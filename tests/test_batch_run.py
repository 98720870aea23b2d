"""`diffres tag` into folders and combined files: what is written, what is skipped, what is done again."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from audio_files import noise, write
from batch_runs import clips, counted, leftovers, results
from command import EXAMPLES, invoke, spawn

SIREN = EXAMPLES / "siren.ogg"


@pytest.fixture
def folder(tmp_path):
    clips(tmp_path / "in", 3)
    write(tmp_path / "in" / "000.flac", noise(0.5))
    clips(tmp_path / "in" / "deep" / "er", 2)
    return tmp_path / "in"


def said(result):
    lines = result.err.splitlines()
    assert all(line.startswith("diffres: ") for line in lines)
    assert result.out == ""
    return [line.removeprefix("diffres: ") for line in lines]


# --- what is written


def test_a_folder_of_results_mirrors_the_tree(folder, tmp_path):
    result = invoke("tag", folder, "-r", "-o", tmp_path / "out")
    assert (result.code, said(result)) == (0, ["6 tagged"])
    stems = ["000.flac", "000.wav", "001.wav", "002.wav", "deep/er/000.wav", "deep/er/001.wav"]
    found = results(tmp_path / "out")
    assert sorted(found) == [f"{stem}.json" for stem in stems]
    assert [found[f"{stem}.json"]["file"] for stem in stems] == [str(folder / stem) for stem in stems]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_results_are_those_of_a_plain_run(folder, tmp_path, jobs):
    plain = invoke("tag", folder, "-r", "-f", "json", "-q").out
    where = ["-o", tmp_path / "out", "--combined", tmp_path / "all.json"]
    result = invoke("tag", folder, "-r", *where, "-j", jobs)
    assert result.code == 0
    assert (tmp_path / "all.json").read_text("utf-8") == plain
    by_file = {record["file"]: record for record in results(tmp_path / "out").values()}
    assert by_file == {record["file"]: record for record in json.loads(plain)}


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".txt", ".selections.txt", ".parquet"])
def test_a_combined_file_is_that_of_a_plain_run(folder, tmp_path, suffix):
    inputs = [folder, SIREN, folder / "deep" / "er"]
    assert invoke("tag", *inputs, "-o", tmp_path / f"plain{suffix}", "-q").code == 0
    result = invoke("tag", *inputs, "--combined", tmp_path / f"all{suffix}", "-j", "2")
    assert said(result) == ["7 tagged"]
    assert (tmp_path / f"all{suffix}").read_bytes() == (tmp_path / f"plain{suffix}").read_bytes()


def test_options_reach_the_workers(folder, tmp_path):
    options = ["--fps", "20", "--window", "2", "--top-k", "2", "--min-confidence", "0"]
    invoke("tag", folder, "-o", tmp_path / "out", "-j", "2", *options)
    record = results(tmp_path / "out")["000.wav.json"]
    assert (record["fps"], record["min_confidence"], len(record["labels"])) == (20, 0, 2)


STRANGE = ["new\nline", "it's", 'a "quote"', "🐦", "-", "caf\udce9", " ", "a=b,c;d", "100%", "\x1b[2J"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_bad_by_names_nobody_would_choose_are_a_line_each(tmp_path, jobs):
    (tmp_path / "in").mkdir()
    for stem in STRANGE:
        (tmp_path / "in" / f"{stem}.wav").write_bytes(b"RIFF, but no more")
    *failures, count = said(invoke("tag", tmp_path / "in", "-o", tmp_path / "out", "-j", jobs))
    assert count == f"0 tagged, {len(STRANGE)} failed"
    listed = [line.partition(".wav: ")[0].removeprefix(f"{tmp_path}/in/") for line in failures]
    shown = {"new\nline": r"new\nline", "caf\udce9": r"caf\xe9", "\x1b[2J": r"\x1b[2J"}
    assert sorted(listed) == sorted(shown.get(stem, stem) for stem in STRANGE)


def test_names_nobody_would_choose(tmp_path):
    stems = STRANGE
    (tmp_path / "in").mkdir()
    for stem in stems:
        write(tmp_path / "in" / "x.wav", noise(0.3)).rename(tmp_path / "in" / f"{stem}.wav")
    for jobs in ("1", "2"):
        result = invoke("tag", tmp_path / "in", "-o", tmp_path / jobs, "-j", jobs)
        assert (result.code, said(result)) == (0, [f"{len(stems)} tagged"])
        assert sorted(results(tmp_path / jobs)) == sorted(f"{stem}.wav.json" for stem in stems)
    again = invoke("tag", tmp_path / "in", "-o", tmp_path / "2")
    assert said(again)[-1] == f"0 tagged, {len(stems)} done before"


def test_a_folder_that_leads_back_to_itself(folder, tmp_path):
    (folder / "deep" / "loop").symlink_to(folder)
    (folder / "deep" / "self").symlink_to("self")
    assert said(invoke("tag", folder, "-r", "-o", tmp_path / "out")) == ["6 tagged"]
    assert len(results(tmp_path / "out")) == 6


def test_results_beside_their_recordings(folder):
    for count in ("6 tagged", "0 tagged, 6 done before"):
        assert said(invoke("tag", folder, "-r", "-o", folder))[-1] == count
    assert (folder / "deep" / "er" / "000.wav.json").exists()


def test_standard_input_is_never_done(folder, tmp_path):
    inputs = ["-", folder / "000.wav", folder / "001.wav"]
    where = ["--combined", tmp_path / "all.jsonl", "-j", "2"]
    for path, count in ((folder / "002.wav", "3 tagged"), (SIREN, "1 tagged, 2 done before")):
        result = spawn("tag", *inputs, *where, input=path.read_bytes())
        assert (result.code, said(result)[-1]) == (0, count)
    first = json.loads((tmp_path / "all.jsonl").read_text().splitlines()[0])
    assert first["file"] == "-"
    assert "Siren" in [label["label"] for label in first["labels"]]


# --- what cannot be tagged


def test_the_bad_are_listed_and_the_good_are_done(tmp_path):
    paths = clips(tmp_path / "in", 300, 0.2)
    for path in paths[5::10]:
        path.write_bytes(b"RIFF, but no more")
    where = ["-o", tmp_path / "out", "--combined", tmp_path / "all.csv"]
    result = invoke("tag", tmp_path / "in", *where, "-j", "2")
    *failures, count = said(result)
    assert (result.code, counted(count)) == (1, (270, 0, 30))
    assert [line.partition(": ")[0] for line in failures] == [str(path) for path in paths[5::10]]
    good = [path for index, path in enumerate(paths) if index % 10 != 5]
    assert sorted(results(tmp_path / "out")) == [f"{path.name}.json" for path in good]
    listed = dict.fromkeys(
        line.partition(",")[0] for line in (tmp_path / "all.csv").read_text().splitlines()[1:]
    )
    assert list(listed) == [str(path) for path in good]


def test_pipes_and_devices_are_refused(folder, tmp_path):
    os.mkfifo(folder / "pipe.wav")
    (folder / "zero.wav").symlink_to("/dev/zero")
    result = invoke("tag", folder, "-o", tmp_path / "out")
    assert (result.code, counted(said(result)[-1])) == (1, (4, 0, 2))
    assert "pipe.wav: a pipe, not a regular file" in result.err
    assert "zero.wav: a device or socket, not a regular file" in result.err


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_debug_shows_where_a_recording_failed(tmp_path, jobs):
    clips(tmp_path / "in", 1)
    (tmp_path / "in" / "bad.wav").write_bytes(b"bad")
    command = ["tag", tmp_path / "in", "-o", tmp_path / "out", "-j", jobs]
    plain, debug = invoke(*command), invoke(*command, "--debug")
    assert "Traceback" not in plain.err
    assert re.search(
        r"^Traceback .*^[\w.]*AudioError: .*^diffres: .*bad.wav: ", debug.err, re.DOTALL | re.MULTILINE
    )


def test_nothing_succeeded(tmp_path):
    (tmp_path / "bad.wav").write_bytes(b"bad")
    for _ in range(2):
        result = invoke("tag", tmp_path, "-o", tmp_path / "out", "--combined", tmp_path / "all.csv")
        assert (result.code, said(result)[-1]) == (3, "0 tagged, 1 failed")
    assert not (tmp_path / "all.csv").exists()


def test_a_run_that_only_fails_where_earlier_ones_succeeded(folder, tmp_path):
    (folder / "bad.wav").write_bytes(b"bad")
    invoke("tag", folder, "-o", tmp_path / "out")
    result = invoke("tag", folder, "-o", tmp_path / "out")
    assert (result.code, said(result)[-1]) == (1, "0 tagged, 4 done before, 1 failed")


# --- what is done already


def test_only_what_is_missing_or_changed_is_done_again(folder, tmp_path):
    out = tmp_path / "out"
    invoke("tag", folder, "-r", "-o", out)
    stamps = {name: (out / name).stat().st_mtime_ns for name in results(out)}
    write(folder / "000.wav", noise(0.7))  # another size
    os.utime(folder / "001.wav", ns=(1, 1))
    (out / "002.wav.json").unlink()
    (out / "000.flac.json").write_bytes(b"")  # as a power cut may leave it
    write(folder / "new.wav", noise(0.2))
    lines = said(invoke("tag", folder, "-r", "-o", out))
    assert lines == [
        "2 recordings are done already, 5 to go (--force tags all again)",
        "5 tagged, 2 done before",
    ]
    untouched = [name for name, stamp in stamps.items() if (out / name).stat().st_mtime_ns == stamp]
    assert sorted(untouched) == ["deep/er/000.wav.json", "deep/er/001.wav.json"]
    assert results(out)["000.wav.json"]["duration"] == 0.7


@pytest.mark.parametrize("where", ["-o out", "--combined all.json"])
def test_changed_settings_are_said(folder, tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path)
    command = ["tag", "in", *where.split()]
    assert said(invoke(*command)) == ["4 tagged"]
    changed = said(invoke(*command, "--top-k", "1"))
    assert changed == [
        "settings or versions changed since the last run: 4 recordings are tagged again",
        "4 tagged",
    ]
    assert said(invoke(*command, "--top-k", "1"))[-1] == "0 tagged, 4 done before"
    written = Path("all.json") if "all" in where else Path("out/000.wav.json")
    assert all(len(record["labels"]) <= 1 for record in json.loads(written.read_bytes()))


@pytest.mark.parametrize("where", ["-o out", "--combined all.json"])
def test_force_does_all_again(folder, tmp_path, monkeypatch, where):
    monkeypatch.chdir(tmp_path)
    command = ["tag", "in", *where.split(), "--force"]
    for _ in range(2):
        assert said(invoke(*command)) == ["4 tagged"]


def test_a_combined_file_that_went_away_comes_back_without_tagging(folder, tmp_path):
    command = ["tag", folder, "--combined", tmp_path / "all.csv"]
    invoke(*command)
    whole = (tmp_path / "all.csv").read_bytes()
    (tmp_path / "all.csv").unlink()
    assert said(invoke(*command))[-1] == "0 tagged, 4 done before"
    assert (tmp_path / "all.csv").read_bytes() == whole


def test_a_recording_that_went_away_leaves_the_combined_file(folder, tmp_path):
    command = ["tag", folder, "--combined", tmp_path / "all.jsonl"]
    invoke(*command)
    (folder / "001.wav").unlink()
    invoke(*command)
    files = [json.loads(line)["file"] for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert files == [str(folder / name) for name in ("000.flac", "000.wav", "002.wav")]


def test_a_moved_folder_and_its_results_stay_done(folder, tmp_path):
    invoke("tag", folder, "-r", "-o", tmp_path / "out")
    shutil.move(folder, tmp_path / "moved")
    shutil.move(tmp_path / "out", tmp_path / "results")
    result = invoke("tag", tmp_path / "moved", "-r", "-o", tmp_path / "results")
    assert said(result)[-1] == "0 tagged, 6 done before"


def test_what_killed_runs_left_is_swept_once_it_is_old(folder, tmp_path):
    invoke("tag", folder, "-r", "-o", tmp_path / "out")
    old, fresh = tmp_path / "out/deep/er/.diffres-a.part", tmp_path / "out/.diffres-b.part"
    for path in (old, fresh):
        path.write_bytes(b"[")
    os.utime(old, (1, 1))
    invoke("tag", folder, "-r", "-o", tmp_path / "out")
    assert [path for path in leftovers(tmp_path / "out") if path.is_file()] == [fresh]  # may be another run's


# --- shards


def test_shards_do_each_recording_once_and_share_a_combined_file(folder, tmp_path):
    command = ["tag", folder, "-r", "-o", tmp_path / "out", "--combined", tmp_path / "all.json"]
    tagged = [counted(said(invoke(*command, "--shard", f"{k}/3"))[-1])[0] for k in (1, 2, 3)]
    assert sum(tagged) == 6
    plain = invoke("tag", folder, "-r", "-f", "json", "-q").out
    assert (tmp_path / "all.json").read_text("utf-8") == plain
    assert said(invoke(*command))[-1] == "0 tagged, 6 done before"


def test_a_shard_with_nothing_in_it(tmp_path):
    clips(tmp_path / "in", 1)
    shards = [invoke("tag", tmp_path / "in", "-o", tmp_path / "out", "--shard", f"{k}/2") for k in (1, 2)]
    assert [result.code for result in shards] == [0, 0]
    assert sorted(said(result)[-1] for result in shards) == ["0 tagged", "1 tagged"]


def test_quiet_is_quiet(folder, tmp_path):
    for _ in range(2):
        assert invoke("tag", folder, "-o", tmp_path / "out", "-q") == (0, "", "")
    (folder / "bad.wav").write_bytes(b"bad")
    assert re.fullmatch(r"diffres: .*bad\.wav: .*\n", invoke("tag", folder, "-o", tmp_path / "out", "-q").err)
