"""Work that is given up when it makes no progress or a signal comes, and is told so."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest
from patience import PATIENCE

from diffres_cli.audio.sndfile import silence_stderr
from diffres_cli.errors import StalledError
from diffres_cli.timeouts import on_cancel, report_progress, run_with_timeout, without_timeout


def test_what_work_gives_or_raises_is_passed_on() -> None:
    assert run_with_timeout(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        run_with_timeout(lambda: 1 // 0)


def test_work_without_progress_is_given_up_and_told_to_stop() -> None:
    stopped = threading.Event()

    def work() -> bool:
        on_cancel("it", stopped.set)
        return stopped.wait(PATIENCE)

    began = time.monotonic()
    with pytest.raises(StalledError, match=r"0\.1 s without progress"):
        run_with_timeout(work, 0.1)
    assert stopped.is_set()
    assert time.monotonic() - began < PATIENCE / 2


def test_progress_and_waiting_for_somebody_else_take_as_long_as_they_take() -> None:
    def work() -> str:
        for _ in range(15):
            time.sleep(0.1)
            report_progress()
        with without_timeout():
            time.sleep(1.5)
        return "done"

    assert run_with_timeout(work, 0.9) == "done"
    assert run_with_timeout(lambda: time.sleep(1.2), 0) is None  # no limit at all


def test_work_that_was_given_up_ends_at_its_next_step() -> None:
    steps = list[int]()

    def work() -> None:
        for step in range(100):
            time.sleep(2 if step == 1 else 0)
            report_progress()
            steps.append(step)

    with pytest.raises(StalledError):
        run_with_timeout(work, 0.1)
    time.sleep(2)
    assert steps == [0]


def test_only_what_is_told_last_is_stopped() -> None:
    told = list[str]()

    def work() -> None:
        for name in ("first", "second"):
            on_cancel("model", lambda name=name: told.append(name))  # type: ignore[misc]
        time.sleep(1.5)

    with pytest.raises(StalledError):
        run_with_timeout(work, 0.1)
    assert told == ["second"]


@pytest.mark.skipif(os.name == "nt", reason="POSIX signals")
def test_a_signal_is_heard_while_work_is_deaf() -> None:
    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        run_with_timeout(lambda: threading.Event().wait(PATIENCE))
    assert time.monotonic() - began < PATIENCE / 2


def test_a_library_that_never_returns_does_not_silence_the_process() -> None:
    before, never = os.fstat(2), threading.Event()

    def work() -> None:
        with silence_stderr():
            never.wait(PATIENCE)

    with pytest.raises(StalledError):
        run_with_timeout(work, 0.1)
    assert os.path.samestat(os.fstat(2), before)
    never.set()


def test_a_library_called_when_all_is_given_up_does_not_silence_the_process() -> None:
    before, given_up, over = os.fstat(2), threading.Event(), threading.Event()

    def work() -> None:
        on_cancel("work", given_up.set)
        given_up.wait(PATIENCE)
        with silence_stderr():
            over.wait(PATIENCE)

    with pytest.raises(StalledError):
        run_with_timeout(work, 0.1)
    assert os.path.samestat(os.fstat(2), before)
    over.set()
