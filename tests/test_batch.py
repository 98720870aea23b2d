"""The pieces of a batch run: what is planned, what a ledger remembers, what one recording comes to."""

import json
from pathlib import Path

import pytest
from audio_files import noise, write
from batch_runs import RATE, clips, silence
from hypothesis import given
from hypothesis import strategies as st
from places import unprivileged

from diffres_cli.audio import find_files, open_recording
from diffres_cli.batch.ledger import Ledger
from diffres_cli.batch.plan import Task, parse_shard, plan, shard_of
from diffres_cli.batch.work import Setup, tag_task
from diffres_cli.errors import AudioError, OutputError, UsageError
from diffres_cli.tagging.settings import Settings
from diffres_cli.tagging.tagger import load_tagger


def planned(*inputs, recursive=False):
    typed = [str(each) for each in inputs]
    return plan(find_files(typed, recursive), typed)


def names(tasks):
    return [task.name for task in tasks]


# --- plan


def test_a_folder_is_the_root_of_its_tree(tmp_path):
    clips(tmp_path / "in", 1), clips(tmp_path / "in" / "deep" / "er", 1)
    assert names(planned(tmp_path / "in", recursive=True)) == ["000.wav", "deep/er/000.wav"]


def test_several_inputs_share_a_root(tmp_path):
    clips(tmp_path / "a", 1), clips(tmp_path / "b", 1)
    assert names(planned(tmp_path / "a", tmp_path / "b" / "000.wav")) == ["a/000.wav", "b/000.wav"]


def test_no_name_leads_out_of_the_mirror(tmp_path, monkeypatch):
    clips(tmp_path / "a", 1), clips(tmp_path / "b" / "c", 1)
    monkeypatch.chdir(tmp_path / "b")
    assert names(planned("../a/000.wav", "c")) == ["a/000.wav", "b/c/000.wav"]
    assert names(planned("c/../../a")) == ["000.wav"]


def test_a_list_that_leads_out_of_the_folder_named_with_it(tmp_path):
    clips(tmp_path / "a", 1), clips(tmp_path / "b", 1)
    found = find_files([tmp_path / "a", tmp_path / "b"])  # as with `tag a --files-from list`
    assert names(plan(found, [str(tmp_path / "a")])) == ["a/000.wav", "b/000.wav"]


def test_size_and_time_are_those_of_the_listing(tmp_path):
    [path] = clips(tmp_path / "in", 1)
    [task] = planned(path)
    assert (task.size, task.modified) == (path.stat().st_size, path.stat().st_mtime_ns)


def test_what_comes_to_nothing_stays_in_place(tmp_path):
    clips(tmp_path / "a", 1)
    missing, there, standard = planned(tmp_path / "no.wav", tmp_path / "a", "-")
    assert isinstance(missing, AudioError)
    assert (there.name, standard.name) == ("000.wav", "stdin")


@given(st.sets(st.text(min_size=1), max_size=200), st.integers(1, 40))
def test_shards_are_disjoint_and_complete(found, count):
    shards = [{name for name in found if shard_of(name, count) == number} for number in range(count)]
    assert sum(map(len, shards)) == len(found)
    assert set().union(*shards) == found


def test_shards_are_of_a_size():
    sizes = [sum(shard_of(f"{i:05}.wav", 16) == number for i in range(16_000)) for number in range(16)]
    assert max(sizes) < 1.2 * min(sizes)


@pytest.mark.parametrize("text", ["0/4", "5/4", "4", "/4", "1/", "a/b", "-1/4", "1/4/2", "1.5/4", ""])
def test_a_shard_that_is_none(text):
    with pytest.raises(UsageError, match=r"expected K/N with 1 <= K <= N"):
        parse_shard(text)


# --- ledger

TASKS = [Task(f"in/{name}", name, 10, 20) for name in ("a.wav", "b.wav", "caf\udce9\n.wav")]


def ledger_of(folder, tasks=TASKS):
    with Ledger(folder) as ledger:
        for task in tasks:
            ledger.add(task, "print", [{"file": task.name}])
    return ledger


def test_what_one_run_did_the_next_one_knows(tmp_path):
    ledger_of(tmp_path / "ledger")
    ledger = Ledger(tmp_path / "ledger")
    assert [ledger.entries[task.name].covers(task, "print") for task in TASKS] == [True] * 3
    assert [ledger.records(task.name) for task in TASKS] == [[{"file": task.name}] for task in TASKS]


@pytest.mark.parametrize("now", [(Task("in/a.wav", "a.wav", 11, 20), "print"),
                                 (Task("in/a.wav", "a.wav", 10, 21), "print"),
                                 (TASKS[0], "other")], ids=["size", "time", "settings"])  # fmt: skip
def test_another_state_is_not_done(tmp_path, now):
    entry = ledger_of(tmp_path).entries["a.wav"]
    assert entry.covers(TASKS[0], "print")
    assert not entry.covers(*now)


def test_a_line_cut_short_at_any_byte_costs_its_recording_only(tmp_path):
    ledger_of(tmp_path)
    [file] = tmp_path.glob("*.jsonl")
    whole = file.read_bytes()
    start = whole[:-1].rindex(b"\n") + 1
    for length in range(start, len(whole) - 1):
        file.write_bytes(whole[:length])
        assert list(Ledger(tmp_path).entries) == ["a.wav", "b.wav"]


@pytest.mark.parametrize(
    "line", [b"\0\0\0\n", b"[1]\n", b"{},{}\n", b'"a"\n', b"7\n", b"{}\n", b"\xff\xfe\n", b'{"name": []}\n']
)
def test_a_line_that_is_none_of_ours_is_passed_over(tmp_path, line):
    ledger_of(tmp_path)
    [file] = tmp_path.glob("*.jsonl")
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join([lines[0], line, *lines[1:]]))
    ledger = Ledger(tmp_path)
    assert [ledger.records(task.name) for task in TASKS] == [[{"file": task.name}] for task in TASKS]


def test_a_ledger_too_long_to_be_read_at_once(tmp_path):
    records = [[{"file": task.name, "labels": "x" * 700_000}] for task in TASKS]
    with Ledger(tmp_path) as ledger:
        for task, record in zip(TASKS, records, strict=True):
            ledger.add(task, "print", record)
    ledger = Ledger(tmp_path)
    assert [ledger.records(task.name) for task in TASKS] == records


def test_the_newest_word_on_a_recording_stands(tmp_path, monkeypatch):
    for second in (5_000_000_000, 5_000_000_001):
        monkeypatch.setattr("time.time_ns", lambda second=second: second)
        with Ledger(tmp_path) as ledger:
            ledger.add(TASKS[0], f"print {second}")
    assert Ledger(tmp_path).entries["a.wav"].fingerprint == "print 5000000001"


def test_two_runs_write_to_two_files(tmp_path):
    with Ledger(tmp_path) as one, Ledger(tmp_path) as two:
        one.add(TASKS[0], "print")
        two.add(TASKS[1], "print")
        one.read()
        assert list(one.entries) == ["a.wav", "b.wav"] or list(one.entries) == ["b.wav", "a.wav"]
    assert len(list(tmp_path.glob("*.jsonl"))) == 2


def test_a_run_that_does_nothing_leaves_no_file(tmp_path):
    with Ledger(tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_a_ledger_whose_folder_went_away(tmp_path):
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.add(TASKS[0], "print")
        (tmp_path / "ledger").rename(tmp_path / "away")
        with pytest.raises(OutputError, match=r"cannot write the ledger in .*: No such file or directory"):
            ledger.add(TASKS[1], "print")


def test_a_ledger_where_nothing_may_be_written(tmp_path):
    with unprivileged(), pytest.raises(OutputError, match=r"cannot keep a ledger in /sys/no: "):
        Ledger(Path("/sys/no"))


# --- one recording


@pytest.fixture(scope="module")
def tagger():
    return load_tagger()


def setup(folder, format_="json"):
    return Setup("audioset-small", Settings(), mirror=folder, format=format_)


def test_a_result_is_the_record(tmp_path, tagger):
    [path] = clips(tmp_path / "in", 1)
    (tmp_path / "out").mkdir()
    [task] = planned(path)
    outcome = tag_task(setup(tmp_path / "out"), tagger, task)
    assert json.loads((tmp_path / "out" / "000.wav.json").read_bytes()) == list(outcome.records)
    assert outcome.records[0]["file"] == str(path)


def test_a_result_that_has_no_place_costs_its_recording_only(tmp_path, tagger):
    path = write(tmp_path / ("n" * 247 + ".wav"), noise(0.5))  # with .json, one more than a name may have
    (tmp_path / "out").mkdir()
    outcome = tag_task(setup(tmp_path / "out"), tagger, planned(path)[0])
    assert outcome.failure.message.startswith(f"{path}: cannot write ")
    assert "File name too long" in outcome.failure.message
    assert not list((tmp_path / "out").iterdir())


def test_without_the_folder_of_results_there_is_no_going_on(tmp_path, tagger):
    [path] = clips(tmp_path / "in", 1)
    with pytest.raises(OutputError, match=r"the output folder .*out is gone"):
        tag_task(setup(tmp_path / "out"), tagger, planned(path)[0])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("seconds", "rf64"), [(268_000, False), (300_000, True)], ids=["WAV", "RF64"])
def test_recordings_of_four_gigabytes_and_more(tmp_path, seconds, rf64):
    path = silence(tmp_path / "huge.wav", seconds, rf64=rf64)  # sparse: no room, and only its header is read
    [task] = planned(path)
    assert task.size == path.stat().st_size > (2**32 if rf64 else 2**32 - 10_000_000)
    with open_recording(path) as recording:
        assert recording.frames == seconds * RATE
        assert not next(recording.blocks(RATE)).any()
