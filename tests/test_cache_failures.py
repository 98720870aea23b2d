"""What cannot be decoded, found or kept costs only itself, and is tried again when that may help."""

from __future__ import annotations

import imageio_ffmpeg
import numpy as np
import pytest
from audio_files import ffmpeg, noise, write
from cache_builds import assert_holds, build, clip_of, shards, some
from places import open_to_all, small_disk, unprivileged

from diffres_cli.datasets.waveforms.decoding import (
    ShardJob,
    ShardProgress,
    WaveformFormat,
    clip_key,
    write_shard,
)
from diffres_cli.errors import DataError, OutputError


def test_clips_that_fail_cost_only_themselves(tmp_path):
    clips = some(tmp_path / "in", 6)
    ok, text, empty, cut, ends, late = (clip.path for clip in clips)
    text.write_text("no audio")
    empty.write_bytes(b"")
    cut.write_bytes(cut.read_bytes()[:44])
    silent = write(tmp_path / "silent.wav", np.zeros((0, 1)), 8000)
    clips = [
        *clips[:4],
        clip_of(ends, 0.2, 0.1),
        clip_of(late, 5.0),
        clip_of(ok, float("nan"), name="nan"),
        clip_of(silent),
        clip_of(tmp_path / "nowhere.wav"),
        clip_of(tmp_path / "in", name="folder"),
    ]
    cache, _ = build(clips, tmp_path / "cache")
    assert cache.failures == {
        "001.wav": "a text file, not audio",
        "002.wav": "the file is empty (0 bytes)",
        "003.wav": "it holds no samples",
        "004.wav": "from 0.2 s to 0.1 s is not a stretch of time",
        "005.wav": "the recording ends before this clip begins",
        "nan": "from nan s to None s is not a stretch of time",
        "silent.wav": "it holds no samples",
        "nowhere.wav": "there is no such file",
        "folder": "a folder, not a recording; name the files in it",
    }
    assert cache.lengths.tolist() == [2400] + [0] * 9
    assert not cache.read(range(1, 10), 100).any()
    again, decoded = build(clips, tmp_path / "cache")
    assert (again.failures, decoded) == (cache.failures, 0)

    write(text, noise(0.3, 8000), 8000)
    again, decoded = build(clips, tmp_path / "cache")
    assert (decoded, sorted(cache.failures.keys() - again.failures.keys())) == (1, ["001.wav"])


def test_what_is_before_the_damage_is_kept(tmp_path):
    samples = noise(1, 8000)
    samples[6000] = np.nan
    path = write(tmp_path / "nan.wav", samples, 8000, subtype="FLOAT")
    clips = [clip_of(path, 0, 0.5, name="before"), clip_of(path, 0.5, 1, name="at")]
    write(path, np.concatenate([noise(40, 8000), samples]), 8000, subtype="FLOAT")
    cache, _ = build([*clips, clip_of(path, 40, 41, name="damage")], tmp_path / "cache")
    assert cache.lengths.tolist() == [4000, 4000, 0]
    assert cache.failures == {
        "damage": "a sample is nan at 40.750 s; samples must be finite numbers, full scale is ±1"
    }


def test_a_file_out_of_reach_is_tried_again(tmp_path):
    clips = some(open_to_all(tmp_path) / "in", 3)
    clips[1].path.chmod(0)
    keys = [clip_key(clip) for clip in clips]
    folder = tmp_path / "cache" / "8000hz-whole-v1"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with unprivileged():  # in this process: a new one could not read our libraries
        done = write_shard(
            ShardJob(folder, WaveformFormat(8000, None), tuple(clips), tuple(keys)), lambda progress: None
        )
    assert done == {keys[1]: "no permission to read it"}
    clips[1].path.chmod(0o644)
    cache, decoded = build(clips, tmp_path / "cache")
    assert decoded == 1
    assert_holds(cache, clips)


def test_a_file_that_changes_while_it_is_read_is_no_part_of_the_cache(tmp_path):
    clips = some(tmp_path / "in", 3)
    keys = [clip_key(clip) for clip in clips]

    def report(progress: ShardProgress) -> None:
        if keys[1] in progress.keys:
            write(clips[1].path, noise(0.4, 8000), 8000)

    folder = tmp_path / "cache" / "8000hz-whole-v1"
    folder.mkdir(parents=True)
    done = write_shard(ShardJob(folder, WaveformFormat(8000, None), tuple(clips), tuple(keys)), report)
    assert done == {keys[1]: "it changed or went away while it was read: run again"}
    cache, decoded = build(clips, tmp_path / "cache")
    assert decoded == 1
    assert_holds(cache, clips)


def test_what_needs_ffmpeg_is_tried_again_once_it_is_there(tmp_path, monkeypatch):
    music = tmp_path / "music.m4a"
    ffmpeg("-i", write(tmp_path / "music.wav", noise(0.5)), music)
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    cache, _ = build([clip_of(music)], tmp_path / "cache")
    assert "needs ffmpeg on the PATH" in cache.failures["music.m4a"]
    assert build([clip_of(music)], tmp_path / "cache")[1] == 0
    (tmp_path / "bin" / "ffmpeg").symlink_to(imageio_ffmpeg.get_ffmpeg_exe())
    cache, decoded = build([clip_of(music)], tmp_path / "cache")
    assert decoded == 1
    assert_holds(cache, [clip_of(music)])


@pytest.mark.parametrize("damage", ["cut short", "index", "scribbled", "emptied", "removed"])
def test_a_damaged_shard_is_made_again(tmp_path, damage):
    clips = some(tmp_path / "in", 20)
    build(clips, tmp_path / "cache")
    path = max((tmp_path / "cache").rglob("*.shard"), key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    path.unlink()
    data[-200] ^= 1
    left = {"cut short": data[:-100], "index": data, "scribbled": b"\xff" * 1000, "emptied": b""}
    if damage != "removed":
        path.write_bytes(left[damage])
    cache, decoded = build(clips, tmp_path / "cache")
    assert decoded == 16
    assert_holds(cache, clips)


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_shard_that_goes_away_is_no_silence(tmp_path, how):
    clips = some(tmp_path / "in", 2)
    cache, _ = build(clips, tmp_path / "cache")
    build(some(tmp_path / "other", 2, 0.4), tmp_path / "elsewhere")
    [path], [replacement] = ((tmp_path / name).rglob("*.shard") for name in ("cache", "elsewhere"))
    path.unlink()
    if how == "replaced":
        replacement.rename(path)
    with pytest.raises(DataError, match=f"cached waveforms are gone: {path}"):
        cache.read([0], 100)


def test_too_little_room_is_said_before_anything_is_decoded(tmp_path):
    clips = some(tmp_path / "in", 20)
    with small_disk(tmp_path) as disk:
        with pytest.raises(OutputError, match=r"needs about 0\.1 MB for 20 clips, but 0\.1 MB are free"):
            build(clips, disk)
        assert shards(disk) == {}
        cache, _ = build(clips, disk, seconds=0.1)
        assert cache.failures == {}
