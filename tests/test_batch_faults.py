"""Batch runs that are killed, stopped, starved or sabotaged, each in processes of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress

import numpy as np
import psutil
import pytest
from audio_files import noise, write
from batch_runs import begin, clips, counted, end, leftovers, noted, results, silence, workers_of
from command import invoke, spawn
from patience import PATIENCE, wait_until
from places import small_disk

from diffres_cli.batch.plan import shard_of

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def count_of(result):
    return counted(result.err.splitlines()[-1])


def test_what_went_wrong_is_listed_like_the_inputs_whoever_is_done_first(tmp_path):
    late, cut = noise(60, 8000), noise(60, 8000)
    late[-1] = np.nan
    paths = [tmp_path / name for name in ("late.wav", "missing.wav", "bad.wav", "cut.wav", "cut.aiff")]
    write(paths[0], late, 8000, subtype="FLOAT")
    paths[2].write_bytes(b"RIFF, but no more")
    for path, samples in ((paths[3], cut), (paths[4], cut[:8000])):
        write(path, samples, 8000)
        os.truncate(path, path.stat().st_size - 4000)
    result = invoke("tag", *paths, "-o", tmp_path / "out", "-j", "2")
    assert count_of(result) == (2, 0, 3)
    said = [line.removeprefix("diffres: ") for line in result.err.splitlines()[:-1]]
    names = [line.removeprefix("warning: ").partition(": ")[0] for line in said]
    assert names == [str(path) for path in (*paths[3:], *paths[:3])]


# --- killed


def test_killed_and_begun_again(tmp_path):
    clips(tmp_path / "in", 30, 4)
    long = silence(tmp_path / "in" / "long.wav", 3 * 3600)  # nobody is done before the kill
    out, combined = tmp_path / "out", tmp_path / "all.jsonl"
    command = [tmp_path / "in", "-o", out, "--combined", combined, "-j", "2"]
    process = begin(*command)
    wait_until(lambda: len(list(out.glob("*.json"))) > 5, process)
    workers = workers_of(process)
    process.kill()
    process.communicate()
    psutil.wait_procs(workers, timeout=PATIENCE)
    assert not any(worker.is_running() for worker in workers)
    before = results(out)
    assert 5 < len(before) <= 30
    assert not combined.exists()

    silence(long, 1)
    again = invoke("tag", *command)
    tagged, done, _ = count_of(again)
    assert (again.code, tagged + done) == (0, 31)
    assert len(before) - 2 <= done <= len(before)  # two workers: two recordings in flight
    found = results(out)
    assert len(found) == 31
    assert {name: found[name] for name in before} == before
    assert len(combined.read_text().splitlines()) == 31


KILLED_AT = {
    # Once something is written, but not yet on the disk ...
    "the middle of a result": """
import os, signal, sys
def told(frame, event, what):
    if event == "c_return" and what.__name__ == "write" and frame.f_code.co_filename.endswith("files.py"):
        os.kill(os.getpid(), signal.SIGKILL)
sys.setprofile(told)
""",
    # ... just before it is renamed ...
    "the rename of a result": """
import os, signal, sys
sys.addaudithook(lambda event, how: event == "os.rename" and os.kill(os.getpid(), signal.SIGKILL))
""",
    # ... and just before the ledger's file is made, with the first note.
    "the note of a result": """
import os, signal, sys
begun = lambda event, how: event == "open" and str(how[0]).endswith(".jsonl") and "x" in (how[1] or "")
sys.addaudithook(lambda event, how: begun(event, how) and os.kill(os.getpid(), signal.SIGKILL))
""",
}


@pytest.mark.parametrize("moment", KILLED_AT)
def test_killed_at_the_worst_moments(tmp_path, moment):
    paths = clips(tmp_path / "in", 3)
    whole = tmp_path / "whole"
    invoke("tag", tmp_path / "in", "-o", whole)
    out = tmp_path / "out"
    killed = spawn("tag", tmp_path / "in", "-o", out, code=KILLED_AT[moment])
    assert killed.code == -signal.SIGKILL
    assert noted(out / ".diffres") == []
    if moment == "the note of a result":
        assert list(results(out)) == [f"{paths[0].name}.json"]  # whole, though nobody knows of it
    else:
        assert list(out.glob("*.json")) == []
        (left,) = leftovers(out)
        os.utime(left, (1, 1))  # long ago: nobody writes to it any more
    assert count_of(invoke("tag", tmp_path / "in", "-o", out)) == (3, 0, 0)
    assert results(out) == results(whole)
    assert leftovers(out) == []


def test_a_worker_killed_once_costs_nothing(tmp_path):
    clips(tmp_path / "in", 4)
    silence(tmp_path / "in" / "!long.wav", 1500)
    process = begin(tmp_path / "in", "-o", tmp_path / "out", "-j", "2")
    wait_until(lambda: len(noted(tmp_path / "out" / ".diffres")) == 4, process)
    for worker in workers_of(process):  # one has the long recording, the other nothing any more
        worker.kill()
    assert end(process) == (0, ["5 tagged"])
    assert len(results(tmp_path / "out")) == 5


def test_a_recording_that_kills_its_workers_is_reported(tmp_path):
    clips(tmp_path / "in", 4)
    long = silence(tmp_path / "in" / "!long.wav", 3 * 3600)
    process = begin(tmp_path / "in", "-o", tmp_path / "out", "-j", "2")
    wait_until(lambda: len(noted(tmp_path / "out" / ".diffres")) == 4, process)
    while process.poll() is None:
        with suppress(psutil.NoSuchProcess):
            for worker in workers_of(process):
                worker.kill()
    code, said = end(process)
    assert (code, said[-1]) == (1, "4 tagged, 1 failed")
    assert said[:-1] == [f"{long}: the worker tagging it died twice (signal SIGKILL)"]
    assert len(results(tmp_path / "out")) == 4


# --- stopped


@pytest.mark.parametrize("jobs", ["1", "2"])
@pytest.mark.parametrize(
    ("number", "code", "group"),
    [(signal.SIGTERM, 143, False), (signal.SIGTERM, 143, True), (signal.SIGINT, 130, True)],
    ids=["SIGTERM", "SIGTERM to all", "Ctrl-C"],
)
def test_stopped_and_begun_again(tmp_path, jobs, number, code, group):
    clips(tmp_path / "in", 6)
    silence(tmp_path / "in" / "long.wav", 3 * 3600)
    out = tmp_path / "out"
    process = begin(tmp_path / "in", "-o", out, "-j", jobs)
    wait_until(lambda: len(noted(out / ".diffres")) == 6, process)
    (os.killpg if group else os.kill)(process.pid, number)
    assert end(process) == (code, ["stopped: 6 tagged; run the same command to resume"])
    assert len(results(out)) == 6
    assert leftovers(out) == []
    silence(tmp_path / "in" / "long.wav", 1)
    assert count_of(invoke("tag", tmp_path / "in", "-o", out)) == (1, 6, 0)


@pytest.mark.parametrize("delay", [0, 0.1, 0.3])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_stopping_while_workers_start_is_one_line(tmp_path, number, delay):
    clips(tmp_path / "in", 2)
    silence(tmp_path / "in" / "long.wav", 3600)
    process = begin(tmp_path / "in", "-o", tmp_path / "out", "-j", "2")
    wait_until(lambda: workers_of(process), process)
    time.sleep(delay)
    os.killpg(process.pid, number)
    code, said = end(process)
    assert (code, len(said)) == (128 + number, 1)
    assert re.fullmatch(r"stopped: \d tagged; run the same command to resume", said[0])


# --- the disk


def test_a_full_disk_and_then_a_larger_one(tmp_path):
    clips(tmp_path / "in", 40, 0.1)
    with small_disk(tmp_path) as disk:
        command = ["tag", tmp_path / "in", "-o", disk / "out", "-j", "2"]
        full = invoke(*command)
        tagged, _, _ = counted(full.err.splitlines()[0])
        assert full.code == 3
        assert "No space left on device" in full.err.splitlines()[-1]
        assert tagged <= len(results(disk / "out")) < 40
        assert leftovers(disk) == []
        subprocess.run(["mount", "-o", "remount,size=4m", str(disk)], check=True)
        again = invoke(*command)
        assert (again.code, sum(count_of(again))) == (0, 40)
        assert len(results(disk / "out")) == 40


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_the_folder_of_results_goes_away(tmp_path, jobs):
    clips(tmp_path / "in", 29, 4)
    silence(tmp_path / "in" / "long.wav", 1500)
    process = begin(tmp_path / "in", "-o", tmp_path / "out", "-j", jobs)
    wait_until(lambda: noted(tmp_path / "out" / ".diffres"), process)
    (tmp_path / "out").rename(tmp_path / "away")
    code, said = end(process)
    assert (code, len(said)) == (3, 2)
    assert re.search(r"the output folder .*out is gone|cannot write the ledger in .*out", said[-1])
    assert not (tmp_path / "out").exists()
    (tmp_path / "away").rename(tmp_path / "out")
    done = len(noted(tmp_path / "out" / ".diffres"))
    assert count_of(invoke("tag", tmp_path / "in", "-o", tmp_path / "out")) == (30 - done, done, 0)


# --- the recordings


def test_recordings_deleted_grown_and_replaced_meanwhile(tmp_path):
    deleted, grown, replaced, same = clips(tmp_path / "in", 4)
    silence(tmp_path / "in" / "!long.wav", 1500)
    command = [tmp_path / "in", "-o", tmp_path / "out", "--combined", tmp_path / "all.jsonl", "-j", "1"]
    process = begin(*command)
    wait_until((tmp_path / "out" / ".diffres").is_dir, process)  # what is to do is known, the first in hand
    deleted.unlink()
    with grown.open("ab") as stream:
        stream.write(bytes(1000))
    write(tmp_path / "other.wav", noise(0.5)).replace(replaced)
    code, said = end(process)
    assert (code, said[-1]) == (1, "2 tagged, 3 failed")
    assert [line.rpartition("/")[2] for line in said[:-1]] == [
        f"{deleted.name}: no such file or folder",
        f"{grown.name}: changed since this run began: run again to tag it",
        f"{replaced.name}: changed since this run began: run again to tag it",
    ]
    assert sorted(results(tmp_path / "out")) == ["!long.wav.json", f"{same.name}.json"]
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 2
    assert count_of(invoke("tag", *command)) == (2, 2, 0)
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == 4


def test_one_recording_changes_under_the_reader(tmp_path):
    (tmp_path / "in").mkdir()
    long = silence(tmp_path / "in" / "long.wav", 1500)
    process = begin(tmp_path / "in", "-o", tmp_path / "out")
    reader = psutil.Process(process.pid)
    wait_until(lambda: str(long) in [file.path for file in reader.open_files()], process)
    os.utime(long, (1, 1))
    code, said = end(process)
    assert (code, said[-1]) == (3, "0 tagged, 1 failed")
    assert said[:-1] == [f"{long}: changed since this run began: run again to tag it"]
    assert not results(tmp_path / "out")


# --- others


def test_the_last_of_two_shards_at_once_writes_what_both_did(tmp_path):
    (tmp_path / "in").mkdir()
    long = silence(tmp_path / "in" / "long.wav", 1500)
    mine = shard_of(long.name, 2) + 1
    others = [f"{index}.wav" for index in range(20) if shard_of(f"{index}.wav", 2) + 1 != mine]
    for name in others:
        write(tmp_path / "in" / name, noise(0.2))
    command = [tmp_path / "in", "--combined", tmp_path / "all.jsonl"]
    process = begin(*command, "--shard", f"{mine}/2")
    wait_until((tmp_path / "all.jsonl.diffres").is_dir, process)
    assert count_of(invoke("tag", *command, "--shard", f"{3 - mine}/2")) == (len(others), 0, 0)
    assert end(process) == (0, ["1 tagged"])
    assert len((tmp_path / "all.jsonl").read_text().splitlines()) == len(others) + 1


def test_two_runs_at_once_on_one_folder(tmp_path):
    clips(tmp_path / "in", 30, 2)
    command = [tmp_path / "in", "-o", tmp_path / "out", "--combined", tmp_path / "all.json"]
    runs = [begin(*command, "-j", jobs) for jobs in ("1", "2")]
    ends = [end(process) for process in runs]
    assert [code for code, _ in ends] == [0, 0]
    assert len(results(tmp_path / "out")) == 30
    notes = noted(tmp_path / "out" / ".diffres")  # of both, and none in another's place
    assert len(notes) == sum(counted(said[-1])[0] for _, said in ends)
    assert len(set(notes)) == 30
    assert (tmp_path / "all.json").read_text("utf-8") == invoke("tag", tmp_path / "in", "-f", "json").out
    assert count_of(invoke("tag", *command)) == (0, 30, 0)
