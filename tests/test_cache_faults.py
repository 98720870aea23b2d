"""Cache builds that are killed, stopped, starved or meet another, each in processes of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import numpy as np
import psutil
import pytest
from batch_runs import silence, workers_of
from cache_builds import assert_holds, begin, build, clip_of, debris, end, shards, some, wait_for
from patience import PATIENCE, wait_until
from places import open_to_all, unprivileged

from diffres_cli.locks import locked

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


def folder_of(cache):
    return cache / "8000hz-whole-v1"


def aged(folder):
    """Let whatever is there seem untouched for two minutes."""
    for path in debris(folder):
        os.utime(path, (time.time() - 120,) * 2)


# --- killed


def test_killed_and_begun_again(tmp_path):
    clips = some(tmp_path / "in", 100)
    for i in range(0, 100, 10):  # at the end of each shard or so, time to be killed
        clips.append(clip_of(silence(tmp_path / "in" / f"{i:03}_long.wav", 1000), 999.5, name=f"long {i}"))
    cache = tmp_path / "cache"
    process = begin(clips, cache)
    wait_until(lambda: len(shards(cache)) >= 2, process)
    wait_until(lambda: list(cache.rglob(".diffres-*")), process)
    workers = workers_of(process)
    process.kill()
    process.communicate()
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
    assert not alive
    before = shards(cache)
    assert 2 <= len(before) < 7

    built, decoded = build(clips, cache, workers=2)
    after = shards(cache)
    assert {name: after[name] for name in before} == before
    assert 0 < decoded < 110 - 16
    assert len(after) == 7  # of 16 clips: the second run takes up the plan of the first
    assert_holds(built, clips)


def test_what_a_killed_build_left_is_removed(tmp_path):
    clips = some(tmp_path / "in", 3)
    clips.append(clip_of(silence(tmp_path / "in" / "long.wav", 3 * 3600), 10799))
    process = begin(clips, tmp_path / "cache")
    wait_until(lambda: len(debris(tmp_path)) == 2, process)
    for each in [process, *workers_of(process)]:
        os.kill(each.pid, signal.SIGKILL)
    process.communicate()
    assert len(debris(tmp_path)) == 2
    aged(tmp_path)
    build(clips[:3], tmp_path / "cache")
    assert debris(tmp_path) == []


def test_what_a_slow_build_has_begun_is_left_alone(tmp_path):
    slow = [clip_of(silence(tmp_path / "long.wav", 3 * 3600), 10799)]
    process = begin(slow, tmp_path / "cache")
    wait_until(lambda: len(debris(tmp_path)) == 2, process)
    stopped = [process, *workers_of(process)]
    for each in stopped:
        os.kill(each.pid, signal.SIGSTOP)
    begun = set(debris(tmp_path))
    aged(tmp_path)
    build(some(tmp_path / "other", 3), tmp_path / "cache")
    assert set(debris(tmp_path)) == begun
    for each in stopped:
        os.kill(each.pid, signal.SIGCONT)
    assert end(process)[-1] == "{}"
    assert debris(tmp_path) == []


def test_a_worker_killed_once_costs_nothing(tmp_path):
    clips = [*some(tmp_path / "in", 3), clip_of(silence(tmp_path / "in" / "long.wav", 2000), 1999)]
    process = begin(clips, tmp_path / "cache")
    wait_for(process, "3 4")  # the long one has begun
    [worker] = workers_of(process)
    worker.kill()
    *told, failures = end(process)
    assert (told[0], told[-1], failures) == ("0 4", "4 4", "{}")
    assert debris(tmp_path / "cache")  # the killed worker's; see above
    assert_holds(build(clips, tmp_path / "cache")[0], clips)


def test_a_recording_that_kills_its_workers_is_the_only_one_lost(tmp_path):
    clips = [*some(tmp_path / "in", 3), clip_of(silence(tmp_path / "in" / "long.wav", 3 * 3600), 10799)]
    process = begin(clips, tmp_path / "cache")
    for _ in range(2):
        wait_for(process, "3 4")
        [worker] = workers_of(process)
        worker.kill()
    assert json.loads(end(process)[-1]) == {"long.wav": "the process decoding it died twice"}
    cache, decoded = build(clips, tmp_path / "cache")  # it may have been the machine's fault
    assert decoded == 1
    assert_holds(cache, clips)


# --- stopped


@pytest.mark.parametrize("when", [0, 0.2, "writing"])
@pytest.mark.parametrize(
    ("number", "group"),
    [(signal.SIGTERM, False), (signal.SIGTERM, True), (signal.SIGINT, True)],
    ids=["SIGTERM", "SIGTERM to all", "Ctrl-C"],
)
def test_stopped_without_a_trace(tmp_path, number, group, when):
    clips = [clip_of(silence(tmp_path / f"{i}.wav", 600), 599) for i in range(40)]
    process = begin(clips, tmp_path / "cache")
    wait_until(lambda: workers_of(process), process)
    if when == "writing":
        wait_until(lambda: list(tmp_path.rglob(".diffres-*.part")), process)
    else:
        time.sleep(when)
    workers = workers_of(process)
    (os.killpg if group else os.kill)(process.pid, number)
    said = end(process)
    assert (said[-1:] == ["stopped"]) == (number == signal.SIGINT)
    _, alive = psutil.wait_procs(workers, timeout=PATIENCE)
    assert not alive
    assert not list(tmp_path.rglob(".diffres-*.part"))


# --- another one


def test_two_at_once_share_the_work(tmp_path):
    clips = [clip_of(silence(tmp_path / f"{i:02}.wav", 100 + i), i, None) for i in range(64)]
    seen: set[tuple[str, int]] = set()
    processes = [begin(order, tmp_path / "cache") for order in (clips, clips[::-1])]
    while any(process.poll() is None for process in processes):
        seen |= set(shards(tmp_path).items())
        time.sleep(0.002)
    seen |= set(shards(tmp_path).items())
    assert [end(process)[-2:] for process in processes] == [["64 64", "{}"]] * 2
    assert len(seen) == len({name for name, _ in seen}) == 4  # each shard was written once
    cache, decoded = build(clips, tmp_path / "cache")
    assert decoded == 0
    assert_holds(cache, clips)


def test_the_second_waits_for_the_first_and_takes_over_when_it_dies(tmp_path):
    clips = some(tmp_path / "in", 3)
    job = tmp_path / "cache"
    first = begin([*clips, clip_of(silence(tmp_path / "in" / "long.wav", 3000), 0)], job)
    wait_until(lambda: list(job.rglob(".diffres-*.part")), first)
    second = begin([*clips, clip_of(tmp_path / "in" / "long.wav", 0)], job)
    time.sleep(1)
    for each in [first, *workers_of(first)]:
        os.kill(each.pid, signal.SIGKILL)
    first.communicate()
    assert end(second)[-1] == "{}"
    assert len(shards(job)) == 1


def test_a_lock_is_held_by_one_process_at_a_time(tmp_path):
    with locked(tmp_path / "lock") as held, locked(tmp_path / "lock", wait=False) as again:
        assert (held, again) == (True, False)
    with locked(tmp_path / "lock", wait=False) as held:
        assert held


# --- the disk


def test_a_full_disk_leaves_what_is_finished(tmp_path):
    resource = pytest.importorskip("resource")
    clips = [*some(tmp_path / "in", 40), clip_of(silence(tmp_path / "in" / "long.wav", 60))]
    process = begin(
        clips,
        tmp_path / "cache",
        workers=1,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (2**18, 2**18)),
    )
    said = end(process)[-1]
    assert said == (
        f"cannot write waveforms to {folder_of(tmp_path / 'cache')}: File too large; "
        "what is finished stays, and the next run resumes there"
    )
    assert len(shards(tmp_path)) == 2
    assert not list(tmp_path.rglob(".diffres-*.part"))
    cache, decoded = build(clips, tmp_path / "cache")
    assert decoded == 9
    assert_holds(cache, clips)


def test_a_finished_cache_can_be_read_where_nothing_can_be_written(tmp_path):
    clips = some(tmp_path / "in", 3)
    cache, _ = build(clips, tmp_path / "cache")
    for path in open_to_all(tmp_path).rglob("*"):
        path.chmod(0o555)
    with unprivileged():
        again, decoded = build(clips, tmp_path / "cache")
    assert decoded == 0
    assert np.array_equal(again.read(range(3), 100), cache.read(range(3), 100))
