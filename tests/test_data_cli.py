"""`diffres data`: what it prints, what it leaves, and how it ends."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import data_archives
import pytest
from audio_files import noise, write
from command import EXAMPLES, Result, invoke
from data_archives import DATASETS, SOURCES, program, small
from file_server import FileServer
from patience import PATIENCE
from places import names
from test_cli_terminal import BAR, on_terminal

from diffres_cli.datasets import catalog
from diffres_cli.datasets.download.archive import MIRROR
from diffres_cli.datasets.download.download import STAGE

SIREN, BIRDSONG = ((EXAMPLES / name).read_bytes() for name in ("siren.ogg", "birdsong.flac"))


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FileServer]:
    """A mirror with the small archives of all datasets; the folder for datasets is empty."""
    monkeypatch.setattr(catalog, "SOURCES", catalog.SOURCES)
    data_archives.install()
    with FileServer() as site:
        for name in DATASETS:
            site.files |= small(name)[1]
        monkeypatch.setenv(MIRROR, site.address)
        monkeypatch.setenv("DIFFRES_DATA", str(tmp_path / "home"))
        yield site


@pytest.fixture
def esc50(server: FileServer, tmp_path: Path) -> Path:
    """A complete ESC-50, in small."""
    assert data("download", "esc50", "--data", tmp_path / "esc50").code == 0
    return tmp_path / "esc50"


def data(*arguments: str | Path) -> Result:
    return invoke("data", *arguments)


def audio(root: Path) -> list[Path]:
    return sorted((root / "ESC-50-master" / "audio").iterdir())


def report(path: Path) -> list[list[str]]:
    rows = list(csv.reader(path.read_text("utf-8").splitlines()))
    assert rows[0] == ["name", "split", "problem", "reason"]
    return rows[1:]


@pytest.mark.parametrize("words", [[], ["list"]])
def test_datasets_are_listed_with_what_is_here(server, tmp_path, words):
    assert data("download", "nsynth").code == 0
    (tmp_path / "home" / "fsd50k" / STAGE / "unpacked").mkdir(parents=True)
    result = data(*words)
    assert (result.code, result.err) == (0, "")
    heads, *rows = (line.split() for line in result.out.splitlines())
    assert heads == ["name", "title", "classes", "clips", "licence", "download", "here"]
    assert [row[0] for row in rows] == list(SOURCES)
    here = {row[0]: row[-1] for row in rows}
    assert (here["nsynth"], here["esc50"], here["fsd50k"]) == ("yes", "no", "off")
    assert next(line for line in result.out.splitlines() if line.startswith("fsd50k")).endswith("cut off")
    assert next(row for row in rows if row[0] == "audioset")[-3:-1] == ["by", "hand"]


@pytest.mark.parametrize("name", SOURCES)
def test_info_prints_what_is_known_of_a_dataset(name, monkeypatch, tmp_path):
    monkeypatch.delenv(MIRROR, raising=False)
    monkeypatch.setenv("DIFFRES_DATA", str(tmp_path))
    source = SOURCES[name]
    result = data("info", name)
    assert (result.code, result.err) == (0, "")
    for fact in (source.title, source.citation, source.licence, source.home, source.manual):
        assert fact in result.out
    for split, count in source.splits.items():
        assert f"{split}: {count} clips" in result.out
    for archive in source.archives:
        (line,) = (line for line in result.out.splitlines() if archive.url in line and archive.name in line)
        assert (archive.checksum or "no checksum") in line
        assert str(archive.size or "no stated size") in line
    assert (str(tmp_path / source.folder) in result.out) == (name != "folder")


@pytest.mark.parametrize("command", ["info", "download", "check"])
def test_a_name_nobody_knows_is_refused_with_the_nearest(command):
    result = data(command, "esc-50")
    assert (result.code, result.out) == (2, "")
    assert "esc-50" in result.complaint
    assert "esc50" in result.complaint


@pytest.mark.parametrize("name", DATASETS)
def test_download_brings_a_dataset_to_where_check_finds_it(server, tmp_path, name):
    result = data("download", name)
    assert result.code == 0
    source = catalog.SOURCES[name]
    said = f"diffres: {source.title}: licence {source.licence}; cite {source.citation}\n"
    assert result.err == said  # and no bar: this is no terminal
    for split, count in source.splits.items():
        assert [split, str(count), str(count)] in [line.split() for line in result.out.splitlines()]
    checked = data("check", name, "--deep")
    assert (checked.code, checked.err) == (0, "")
    assert checked.out == result.out + "missing: 0\nundecodable: 0\ndamaged: 0\nsuspect: 0\n"
    assert names(tmp_path / "home") == [name]


def test_download_keeps_archives_on_request(server, tmp_path):
    assert data("download", "nsynth", "--data", tmp_path / "n", "--keep-archives").code == 0
    assert len(list((tmp_path / "n" / STAGE).glob("*.tar.gz"))) == 3
    assert data("check", "nsynth", "--data", tmp_path / "n").code == 0


def test_a_download_with_fewer_clips_than_the_official_lists_says_so(server, tmp_path):
    more = {"train": 12, "validation": 11, "test": 11}
    catalog.SOURCES = {**catalog.SOURCES, "nsynth": replace(catalog.SOURCES["nsynth"], splits=more)}
    result = data("download", "nsynth")
    assert result.code == 1
    assert ["train", "12", "11"] in [line.split() for line in result.out.splitlines()]


@pytest.mark.parametrize(("name", "code"), [("audioset", 2), ("folder", 2)])
def test_what_is_not_for_download_is_told_with_what_to_do(name, code):
    result = data("download", name)
    assert (result.code, result.out) == (code, "")
    assert SOURCES[name].manual in result.complaint


@pytest.mark.parametrize(
    ("fault", "why"),
    [({"flip": True}, "not the official file"), ({"times": 9, "status": 404}, "no longer there")],
    ids=["changed", "gone"],
)
def test_a_download_that_fails_ends_with_3_and_one_line_why(server, tmp_path, fault, why):
    server.fail("nsynth-valid", **fault)
    result = data("download", "nsynth")
    assert (result.code, result.out) == (3, "")
    assert why in result.err.splitlines()[-1]
    assert len(result.err.splitlines()) == 2
    assert names(tmp_path / "home" / "nsynth") == [STAGE]


def test_the_help_of_download_tells_of_mirrors():
    result = data("download", "--help")
    assert f"{MIRROR}=http://" in result.out


@pytest.mark.skipif(sys.platform == "win32", reason="no signals to send there")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_a_download_which_goes_on_later(server, tmp_path, number, code):
    ((path, archive),) = small("esc50")[1].items()
    server.fail(path, after=len(archive) // 2, hold=threading.Event())
    root = tmp_path / "esc50"
    process = subprocess.Popen(
        program("data", "download", "esc50", "--data", root), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    while not (part := list(root.glob(f"{STAGE}/*.part"))) or not part[0].stat().st_size:
        assert process.poll() is None
    process.send_signal(number)
    _, said = process.communicate(timeout=PATIENCE)
    assert process.returncode == code
    assert b"Traceback" not in said
    told = said.endswith(b"\ndiffres: stopped: the same command resumes here\n")
    assert told == (number == signal.SIGINT)
    assert data("check", "esc50", "--data", root).code == 2
    assert data("download", "esc50", "--data", root).code == 0
    assert server.requests[-1].range


def test_a_bar_is_shown_on_a_terminal_only(server, tmp_path):
    archives = data_archives.arabic()
    server.files |= data_archives.served(SOURCES["arabic-speechcommands"], archives)
    screens = []
    for err in (True, False):
        held = server.fail("arabic", after=1000, hold=threading.Event())
        threading.Timer(1.5, held.hold.set).start()
        root = tmp_path / f"on terminal {err}"
        screens.append(on_terminal("data", "download", "arabic-speechcommands", "--data", root, err=err))
    shown, hidden = screens
    assert (shown.code, hidden.code) == (1, 1)  # fewer than the official 12,000
    assert BAR in shown.shown
    assert BAR not in hidden.shown + hidden.err
    assert hidden.err.startswith("diffres: Arabic Speech Commands: licence")


def test_check_of_a_complete_dataset_counts_its_splits(esc50):
    result = data("check", "esc50", "--data", esc50)
    assert (result.code, result.err) == (0, "")
    assert [line.split() for line in result.out.splitlines()[1:]] == [
        ["split", "official", "here"],
        *([f"fold{fold}", "50", "50"] for fold in range(1, 6)),
        ["missing:", "0"],
        ["undecodable:", "0"],
        ["damaged:", "0"],
        ["suspect:", "0"],
    ]


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize("deep", [False, True], ids=["headers", "deep"])
def test_check_finds_what_is_missing_undecodable_and_damaged(esc50, tmp_path, deep, jobs):
    lost, text, empty, cut = audio(esc50)[:4]
    lost.unlink()
    text.write_bytes(b"no audio")
    empty.write_bytes(b"")
    cut.with_suffix(".flac").write_bytes(BIRDSONG[: len(BIRDSONG) // 2])
    cut.unlink()
    words = ["--deep"] if deep else []
    result = data("check", "esc50", "--data", esc50, "-j", str(jobs), "-o", tmp_path / "bad.csv", *words)
    assert (result.code, result.err) == (1, "")
    kinds = {Path(name).stem: (split, kind) for name, split, kind, _ in report(tmp_path / "bad.csv")}
    expected = {
        lost.stem: ("fold1", "missing"),
        **{path.stem: ("fold1", "undecodable") for path in (text, empty)},
    }
    assert kinds == {**expected, **({cut.stem: ("fold1", "damaged")} if deep else {})}
    assert result.out.endswith(f"missing: 1\nundecodable: 2\ndamaged: {int(deep)}\nsuspect: 0\n")
    assert ["fold1", "50", "49"] in [line.split() for line in result.out.splitlines()]
    assert all(reason for *_, reason in report(tmp_path / "bad.csv"))


@pytest.mark.parametrize("words", [[], ["--deep"]], ids=["headers", "deep"])
@pytest.mark.parametrize(
    ("kind", "mark", "count"),
    [
        ("wav", b"data", (4410).to_bytes(4, "little")),
        ("mp3", b"Xing\0\0\0\x0f", (4).to_bytes(4, "big")),
        ("flac", bytes.fromhex("0562 20f0"), (2205).to_bytes(4, "big")),  # 22050 Hz, 1 channel, 16 bits
    ],
)
def test_check_finds_a_header_that_states_less_than_there_is(esc50, words, kind, mark, count):
    path = audio(esc50)[0].with_suffix(f".{kind}")
    audio(esc50)[0].unlink()
    data_ = bytearray(write(path, noise(5)).read_bytes())
    place = data_.index(mark) + len(mark)
    data_[place : place + 4] = count
    path.write_bytes(data_)
    result = data("check", "esc50", "--data", esc50, *words)
    assert result.code == 1
    assert f"{path.stem}.wav: damaged: the header states 0.10 s" in result.err


def test_check_tells_some_problems_and_how_to_get_them_all(esc50):
    for path in audio(esc50)[:7]:
        path.write_bytes(b"no audio")
    result = data("check", "esc50", "--data", esc50)
    assert result.code == 1
    lines = result.err.splitlines()
    assert len(lines) == 6
    assert lines[0].startswith(f"diffres: audio/{audio(esc50)[0].name}: undecodable: ")
    assert lines[-1] == "diffres: and 2 more: -o FILE.csv lists them all"


def test_check_of_a_dataset_nothing_of_which_can_be_decoded_ends_with_3(esc50):
    for path in audio(esc50):
        path.write_bytes(b"no audio")
    assert data("check", "esc50", "--data", esc50).code == 3


def test_check_finds_clips_that_begin_behind_the_end_of_their_recording(tmp_path):
    (tmp_path / "siren.ogg").write_bytes(SIREN)
    rows = "path,labels,start,end\nsiren.ogg,a,0,1\nsiren.ogg,b,1000,1001\n"
    (tmp_path / "clips.csv").write_text(rows)
    result = data("check", "folder", "--data", tmp_path / "clips.csv", "-o", tmp_path / "bad.csv")
    assert result.code == 1
    ((_, _, kind, reason),) = report(tmp_path / "bad.csv")
    assert kind == "undecodable"
    assert reason.startswith("starts at 1000 s, the recording ends at ")


def test_check_of_a_download_that_was_cut_off_between_its_last_steps_says_so(server, tmp_path):
    assert data("download", "nsynth", "--data", tmp_path / "n").code == 0
    (tmp_path / "n" / STAGE / "unpacked").mkdir(parents=True)
    result = data("check", "nsynth", "--data", tmp_path / "n")
    assert result.code == 1
    assert "was cut off: `diffres data download nsynth` resumes it" in result.complaint


def test_check_of_a_wrong_folder_says_what_it_expected_and_found(tmp_path):
    (tmp_path / "holiday.txt").touch()
    result = data("check", "esc50", "--data", tmp_path)
    assert (result.code, result.out) == (2, "")
    assert "holiday.txt" in result.complaint
    assert "diffres data download esc50" in result.complaint
