"""How many cores may be used, read from control groups as the kernel shows them."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from diffres_cli.cores import available_cores, cpu_quota


def tree(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


V1 = "12:memory:/a\n4:cpu,cpuacct:{path}\n3:cpuset:/a\n0::/"
CASES = {
    "version 2, a container's own root": (
        0.5,
        {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "50000 100000"},
    ),
    "version 2, no limit": (math.inf, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "max 100000"}),
    "version 2, nested: the tightest counts": (
        2,
        {
            "proc/self/cgroup": "0::/user.slice/job.scope",
            "sys/fs/cgroup/user.slice/cpu.max": "200000 100000",
            "sys/fs/cgroup/user.slice/job.scope/cpu.max": "300000 100000",
        },
    ),
    "version 2, the host's path inside a container": (
        3,
        {"proc/self/cgroup": "0::/docker/abc", "sys/fs/cgroup/cpu.max": "300000 100000"},
    ),
    "version 2 beside version 1": (
        2,
        {"proc/self/cgroup": "0::/job", "sys/fs/cgroup/unified/job/cpu.max": "200000 100000"},
    ),
    "a path that leads out of the namespace": (
        2,
        {"proc/self/cgroup": "0::/../job", "sys/fs/cgroup/job/cpu.max": "200000 100000"},
    ),
    "version 1": (
        1.5,
        {
            "proc/self/cgroup": V1.format(path="/docker/abc"),
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us": "150000",
            "sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us": "100000",
        },
    ),
    "version 1, a parent's quota": (
        1,
        {
            "proc/self/cgroup": V1.format(path="/slurm/job/step"),
            "sys/fs/cgroup/cpu,cpuacct/slurm/job/cpu.cfs_quota_us": "100000",
            "sys/fs/cgroup/cpu,cpuacct/slurm/job/cpu.cfs_period_us": "100000",
            "sys/fs/cgroup/cpu,cpuacct/slurm/job/step/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu,cpuacct/slurm/job/step/cpu.cfs_period_us": "100000",
        },
    ),
    "version 1, the link named cpu": (
        0.2,
        {
            "proc/self/cgroup": V1.format(path="/docker/abc"),
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "20000",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
    ),
    "version 1, no limit": (
        math.inf,
        {
            "proc/self/cgroup": V1.format(path="/a"),
            "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
            "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
        },
    ),
    "another controller's group": (
        math.inf,
        {"proc/self/cgroup": "3:cpuset:/", "sys/fs/cgroup/cpuset/cpu.max": "100000 100000"},
    ),
    "no control groups": (math.inf, {}),
    "nothing that can be read": (math.inf, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": "a b c"}),
}


@pytest.mark.parametrize("case", CASES)
def test_the_tightest_quota_counts(case: str, tmp_path: Path) -> None:
    quota, files = CASES[case]
    assert cpu_quota(tree(tmp_path, files)) == quota


def test_a_quota_limits_the_cores_and_leaves_one(tmp_path: Path) -> None:
    for quota, cores in ((0.2, 1), (1.0, 1), (1.5, 2), (1000.0, 1000), (math.inf, 10**9)):
        limit = "max" if quota == math.inf else str(round(quota * 100_000))
        root = tree(tmp_path, {"proc/self/cgroup": "0::/", "sys/fs/cgroup/cpu.max": f"{limit} 100000"})
        assert available_cores(root) == min(cores, available_cores(tmp_path / "nowhere"))


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_a_schedulers_share_counts_too(tmp_path: Path) -> None:
    code = (
        "import os, sys; from pathlib import Path; from diffres_cli.cores import available_cores; "
        "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}); print(available_cores(Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert done.stdout == "1\n"
