"""Tasks in worker processes that are killed, fail or get stuck."""

from __future__ import annotations

import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from pool_tasks import PARTS, prepare, prepare_import, prepare_nothing, prepare_variable

from diffres_cli.errors import DataError, DiffresError
from diffres_cli.pool import Died, WorkerPool


def test_a_task_that_kills_its_workers_costs_no_other(tmp_path: Path) -> None:
    progress: Counter[tuple[str, str]] = Counter()
    tasks = ["a", "dies", "dies once", *"bcde"]
    with WorkerPool(
        2, prepare, (tmp_path,), on_progress=lambda task, part: progress.update([(task, part)])
    ) as pool:
        results = dict(pool.run(tasks))
    assert set(results) == set(tasks)
    assert results.pop("dies") == Died("signal SIGKILL", PARTS[0])
    assert not any(isinstance(result, Died) for result in results.values())
    assert os.getpid() not in results.values()
    assert progress["dies", PARTS[0]] == progress["dies once", PARTS[0]] == 2
    assert progress["a", PARTS[1]] == 1


def test_a_task_that_may_be_tried_once_costs_one_worker(tmp_path: Path) -> None:
    with WorkerPool(1, prepare, (tmp_path,), attempts=1) as pool:
        results = dict(pool.run(["dies once", "a"]))
    assert isinstance(results["dies once"], Died)
    assert not isinstance(results["a"], Died)


def test_workers_have_their_own_environments_also_those_that_replace_others(tmp_path: Path) -> None:
    environments = [{"GPU": "0"}, {"GPU": "1"}]
    pool: WorkerPool[str, str] = WorkerPool(
        2, prepare_variable, ("GPU",), environments=environments, is_stuck=lambda result: True
    )
    with pool:
        results = [result for _, result in pool.run("abcd")]
    assert set(results) == {"0", "1"}
    assert "GPU" not in os.environ


def test_a_worker_imports_nothing_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stranger.py").write_text("")
    monkeypatch.chdir(tmp_path)
    for path, found in ((None, False), (tmp_path, True)):
        if path:
            monkeypatch.syspath_prepend(path)
        with WorkerPool(1, prepare_import, ("stranger",)) as pool:
            assert dict(pool.run(["a"])) == {"a": found}


def test_a_submitted_task_comes_after_the_others(tmp_path: Path) -> None:
    done = []
    with WorkerPool(1, prepare, (tmp_path,)) as pool:
        for task, _ in pool.run(["a", "b", "c"]):
            done.append(task)
            if task == "a":
                pool.submit("again")
    assert done == ["a", "b", "c", "again"]


def test_idle_workers_wait_while_no_task_may_start(tmp_path: Path) -> None:
    taken: list[str] = []
    done: list[str] = []

    def tasks() -> Iterator[str]:
        for task in "abcdef":
            taken.append(task)
            yield task

    with WorkerPool(3, prepare, (tmp_path,)) as pool:
        for task, _ in pool.run(tasks(), lambda: len(taken) - len(done) < 2):
            assert len(taken) - len(done) <= 2
            done.append(task)
    assert sorted(done) == taken == list("abcdef")


def test_a_stuck_worker_is_replaced(tmp_path: Path) -> None:
    with WorkerPool(1, prepare, (tmp_path,), is_stuck=lambda result: True) as pool:
        processes = [result for _, result in pool.run(["a", "b", "c"])]
    assert len(set(processes)) == 3


def test_an_error_of_a_worker_is_raised_and_the_others_stop_at_once(tmp_path: Path) -> None:
    start = time.monotonic()
    with pytest.raises(DataError, match="not this one"), WorkerPool(2, prepare, (tmp_path,)) as pool:
        list(pool.run(["slow", "fails"]))
    assert time.monotonic() - start < 30
    assert not [child for child in psutil.Process().children() if "spawn_main" in " ".join(child.cmdline())]


def test_workers_that_die_whatever_they_are_given() -> None:
    with pytest.raises(DiffresError, match="exit code 7"), WorkerPool(2, prepare_nothing) as pool:
        list(pool.run([str(number) for number in range(40)]))
