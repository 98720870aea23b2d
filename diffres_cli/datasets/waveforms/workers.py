"""Shards made by worker processes. A recording that kills two of them is skipped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

from diffres_cli.datasets.waveforms.decoding import Progress, ShardJob, ShardResult, write_shard
from diffres_cli.pool import Died, Report, WorkerPool

# Each worker has a core: one thread for NumPy's products.
_ONE_THREAD = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"), "1"
)


def write_shards(jobs: Sequence[ShardJob], count: int, on_decoded: Callable[[int], None]) -> dict[bytes, str]:
    """Do all jobs in `count` processes. Returns why clips could not be decoded this time, by key.

    Args:
        on_decoded: told how many more clips are decoded; less than none when a shard is begun again.

    Raises:
        OutputError: a shard cannot be written. DiffresError: workers die before they decode anything.
    """
    decoded: Counter[str] = Counter()  # clips, by the job's name
    failures: dict[bytes, str] = {}

    def update(job: ShardJob, clips: int) -> None:
        on_decoded(clips - decoded[job.name])
        decoded[job.name] = clips

    pool = WorkerPool(
        count,
        _prepare,
        on_progress=lambda job, progress: update(job, progress.decoded),
        environments=[_ONE_THREAD],
    )
    with pool:
        for job, result in pool.run(jobs):
            if isinstance(result, Died):
                fatal = result.progress.keys if result.progress else ()
                pool.submit(replace(job, skip=job.skip.union(fatal)))
            elif result.busy:  # the others first, then wait for that process: it may die
                pool.submit(replace(job, wait=True))
            else:
                update(job, len(job.keys))
                failures |= result.failures
    return failures


def _prepare() -> Callable[[ShardJob, Report], ShardResult]:
    return _write


def _write(job: ShardJob, report: Report) -> ShardResult:
    decoded = 0

    def starting(keys: tuple[bytes, ...]) -> None:
        nonlocal decoded
        report(Progress(keys, decoded))
        decoded += len(keys)

    return write_shard(job, starting)
