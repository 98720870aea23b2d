"""`diffres tag --engine ray` on a real Ray cluster of this machine: two workers, killed and fed rubbish."""

from __future__ import annotations

import re
import secrets
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from subprocess import DEVNULL, PIPE, Popen

import psutil
import pytest
from batch_runs import begin, clips, end, silence
from command import EXAMPLES, invoke, spawn
from file_server import FileServer
from patience import PATIENCE

from diffres_cli.audio import find_files
from diffres_cli.batch.plan import plan
from diffres_cli.batch.resumable import Resumable
from diffres_cli.batch.run import Summary, local_engine, tag_all
from diffres_cli.batch.work import Setup
from diffres_cli.checkpoint.find import DEFAULT_MODEL
from diffres_cli.tagging.settings import Settings

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals"),
    pytest.mark.skipif(find_spec("ray") is None, reason="the extra ray is not installed"),
]


START = """
import ray
print(ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False).address_info["address"])
input()
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[str]:
    """The address of a cluster with two cores, whatever this machine has, that asks for a token."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "token")
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        for _ in range(4):  # Ray gives a node half a minute to come up: on a busy machine that is too short
            host = Popen([sys.executable, "-c", START], stdin=PIPE, stdout=PIPE, stderr=DEVNULL, text=True)
            address = host.stdout.readline().strip()
            if address:
                break
            host.wait()
        assert address
        yield address
        host.communicate("\n", timeout=PATIENCE)


@pytest.fixture
def tag(cluster: str) -> Callable[..., object]:
    """Run a command line on the cluster. In a process of its own: Ray looks for a token as it is imported."""
    where = ["--engine", "ray", "--ray-address", cluster, "-j", "2"]
    return lambda *arguments: spawn("tag", *arguments, *where)


def table(where: Path) -> list[tuple[object, ...]]:
    """All rows of a Parquet file or a folder of them, sorted."""
    rows = pq.read_table(where).to_pylist()
    return sorted((tuple(map(_plain, row.values())) for row in rows), key=repr)


def _plain(value: object) -> object:
    return tuple(value) if isinstance(value, list) else value


def local(tmp_path: Path, *inputs: str | Path, **settings: object) -> list[tuple[object, ...]]:
    """What the local engine makes of it."""
    setup = Setup(DEFAULT_MODEL, Settings(**settings)).pinned()
    results = Resumable(setup, tmp_path / "local.parquet", "parquet", force=True)
    tag_all(plan(find_files(inputs), list(map(str, inputs))), local_engine(setup, 1), results, Summary())
    return table(tmp_path / "local.parquet")


def kill_whoever_reads(recording: Path, times: int) -> tuple[threading.Thread, list[int]]:
    """Kill the workers that have a recording open, so many of them, and list their process ids."""
    killed: list[int] = []

    def kill() -> None:
        while len(killed) < times:
            for process in psutil.process_iter(["cmdline"]):
                if "MapWorker" in " ".join(process.info["cmdline"] or ()) and _reads(process, recording):
                    process.kill()
                    killed.append(process.pid)
                    psutil.wait_procs([process], PATIENCE)
            time.sleep(0.02)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    return killer, killed


def _reads(process: psutil.Process, recording: Path) -> bool:
    try:
        return any(file.path == str(recording) for file in process.open_files())
    except psutil.Error:  # it just ended
        return False


def test_the_results_are_those_of_the_local_engine_and_bad_files_cost_only_themselves(tmp_path, tag):
    sounds = shutil.copytree(EXAMPLES, tmp_path / "in")
    (sounds / "broken.wav").write_bytes(b"RIFF\x10\0\0\0WAVEfmt ")
    (sounds / "text.mp3").write_text("not audio at all")
    inputs = [sounds, tmp_path / "nowhere.wav"]
    how = ["--embeddings", "--window", "2", "-o", tmp_path / "out"]
    first = tag(*inputs, *how)
    assert first.code == 1
    *bad, count = first.err.splitlines()
    assert count == "diffres: 8 tagged, 3 failed"
    assert [line.split(":")[1].strip() for line in sorted(bad)] == [
        *map(str, (sounds / "broken.wav", sounds / "text.mp3", tmp_path / "nowhere.wav"))
    ]
    assert table(tmp_path / "out") == local(tmp_path, *inputs, embeddings=True, window=2.0)
    schemas = [pq.read_schema(path).remove_metadata() for path in (tmp_path / "out").iterdir()]
    assert {str(schema) for schema in schemas} == {str(pq.read_schema(tmp_path / "local.parquet"))}

    shutil.copy(EXAMPLES / "rain.ogg", sounds / "text.mp3")
    again = tag(*inputs, *how)
    said = again.err.splitlines()
    assert (again.code, said[0]) == (
        1, "diffres: 8 recordings are done already, 2 to go (--force tags all again)"
    )  # fmt: skip
    assert said[-1] == "diffres: 1 tagged, 8 done before, 2 failed"
    assert table(tmp_path / "out") == local(tmp_path, *inputs, embeddings=True, window=2.0)

    other = tag(*inputs, *how, "--fps", "25")
    assert (other.code, "other settings" in other.complaint, "use force" in other.complaint) == (
        2,
        True,
        True,
    )


def test_a_worker_killed_costs_nothing(tmp_path, tag):
    sounds = shutil.copytree(EXAMPLES, tmp_path / "in")
    long = silence(sounds / "long.wav", 120)
    killer, killed = kill_whoever_reads(long, times=1)
    result = tag(sounds, "-o", tmp_path / "out")
    killer.join(PATIENCE)
    assert len(killed) == 1
    assert (result.code, result.err) == (0, "diffres: 9 tagged\n")
    assert table(tmp_path / "out") == local(tmp_path, sounds)


def test_a_recording_that_kills_its_workers_is_reported(tmp_path, tag):
    clips(tmp_path / "in", 23)  # with the next, three in a part
    expected = local(tmp_path, tmp_path / "in")
    deadly = silence(tmp_path / "in" / "!deadly.wav", 3 * 3600)
    killer, killed = kill_whoever_reads(deadly, times=2)
    result = tag(tmp_path / "in", "-o", tmp_path / "out")
    killer.join(PATIENCE)
    assert len(set(killed)) == 2
    assert (result.code, result.err.splitlines()) == (
        1, [f"diffres: {deadly}: the worker tagging it died twice (see Ray's log)",
            "diffres: 23 tagged, 1 failed"]
    )  # fmt: skip
    assert table(tmp_path / "out") == expected


def test_inputs_and_output_by_url(tmp_path, tag):
    out = f"file://{tmp_path / 'out'}"
    with FileServer() as server:
        names = ("rain.ogg", "siren.ogg")
        server.files = {f"/sounds/{name}": (EXAMPLES / name).read_bytes() for name in names}
        links = "".join(f'<a href="{name}">{name}</a>' for name in (*names, "notes.txt"))
        server.files["/sounds/"] = links.encode()
        gone = f"{server.address}/gone.wav"
        local_file = f"file://{EXAMPLES / 'whistling.flac'}"
        result = tag(f"{server.address}/sounds/", gone, local_file, "-o", out)
        assert (result.code, result.err.splitlines()[-1]) == (1, "diffres: 3 tagged, 1 failed")
        assert gone in result.err
        assert len(result.err.splitlines()) == 2
        places = {f"{server.address}/sounds/": "", f"file://{EXAMPLES}/": ""}
    rows = [list(row) for row in table(tmp_path / "out")]
    for row in rows:
        for place in places:
            row[0] = row[0].replace(place, "")
    files = [EXAMPLES / name for name in (*names, "whistling.flac")]
    expected = [(Path(str(row[0])).name, *row[1:]) for row in local(tmp_path, *files)]
    assert sorted(map(tuple, rows), key=repr) == sorted(expected, key=repr)


REGISTER = """
import fsspec
from fsspec.implementations.local import LocalFileSystem
fsspec.register_implementation("elsewhere", type("Elsewhere", (LocalFileSystem,), {"protocol": "elsewhere"}))
"""


def test_workers_that_cannot_reach_the_output_say_so_in_one_line(tmp_path, cluster):
    where = ["-o", f"elsewhere://{tmp_path / 'out'}", "--engine", "ray", "--ray-address", cluster]
    result = spawn("tag", EXAMPLES, *where, "-j", "2", code=REGISTER)  # here, and not there
    assert result.code == 2
    assert re.match(r"elsewhere://.*/out: Protocol not known: elsewhere \(on .+\)$", result.complaint)


def test_told_to_stop_and_begun_again(tmp_path, cluster, tag):
    clips(tmp_path / "in", 6)
    long = silence(tmp_path / "in" / "long.wav", 3 * 3600)
    options = ["--engine", "ray", "--ray-address", cluster, "-j", "2"]
    process = begin(tmp_path / "in", "-o", tmp_path / "out", *options)
    while len(list((tmp_path / "out").glob("part-*"))) < 6:
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    code, (said,) = end(process)
    assert code == 143
    assert re.fullmatch(r"stopped: \d tagged; run the same command to resume", said)  # that it heard of
    silence(long, 1)
    again = tag(tmp_path / "in", "-o", tmp_path / "out")
    assert (again.code, again.err.splitlines()[-1]) == (0, "diffres: 1 tagged, 6 done before")
    assert table(tmp_path / "out") == local(tmp_path, tmp_path / "in")


def test_without_an_address_ray_is_started_here_and_says_nothing(tmp_path):
    result = spawn("tag", EXAMPLES / "rain.ogg", "--engine", "ray", "-o", tmp_path / "out")
    assert (result.code, result.out, result.err) == (0, "", "diffres: 1 tagged\n")
    assert len(pq.read_table(tmp_path / "out")) > 0


REFUSED = {
    "": "name it with -o",
    "-o OUT --combined all.parquet": "--combined works with --engine local",
    "-o OUT --shard 1/2": "--shard works with --engine local",
    "-o OUT -f csv": "--engine ray writes parquet",
    "-o OUT --events --importance": "--format parquet: one row per event",
    "-o OUT -j 0": "--jobs 0: must be at least 1",
    "-o OUT --fps 1000": "fps",
    "-o memory://out": "memory of one process",
    "-o http://127.0.0.1:1/out": "nothing can be written over HTTP",
    "-o nonsense://out": "nonsense",
    "-o FILE": "cannot make the folder",
    "-o OUT --ray-address 127.0.0.1:1": "no Ray on 127.0.0.1:1",
}


@pytest.mark.parametrize("options", REFUSED)
def test_what_makes_no_sense_is_refused_in_one_line(tmp_path, options):
    places = {"OUT": tmp_path / "out", "FILE": Path(shutil.copy(EXAMPLES / "README.md", tmp_path))}
    words = [places.get(word, word) for word in options.split()]
    result = invoke("tag", EXAMPLES / "rain.ogg", "--engine", "ray", *words)
    assert result.code in (2, 3)
    assert REFUSED[options] in result.complaint
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


def test_standard_input_and_engines_are_refused(tmp_path):
    assert "no standard input" in invoke("tag", "-", "--engine", "ray", "-o", tmp_path / "out").complaint
    assert "choose local or ray" in invoke("tag", EXAMPLES, "--engine", "spark").complaint
    assert "add --engine ray" in invoke("tag", EXAMPLES, "--ray-address", "auto").complaint


def test_files_of_others_in_the_output_are_not_touched(tmp_path):
    (tmp_path / "out").mkdir()
    theirs = pa.table({"x": [1]})
    pq.write_table(theirs, tmp_path / "out" / "theirs.parquet")
    result = invoke("tag", EXAMPLES / "rain.ogg", "--engine", "ray", "-o", tmp_path / "out")
    assert (result.code, "holds theirs.parquet" in result.complaint) == (2, True)
    assert pq.read_table(tmp_path / "out" / "theirs.parquet") == theirs
