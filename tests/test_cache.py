"""Cached waveforms are what decoding each clip alone gives, and what has changed is noticed."""

from __future__ import annotations

import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from audio_files import ffmpeg, noise, python, write
from cache_builds import assert_holds, build, clip_of, debris, direct, shards, some, whole
from command import EXAMPLES
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from places import open_to_all, small_disk, unprivileged

from diffres_cli.datasets.cache import build_cache
from diffres_cli.datasets.decoding import Done, Form, Job, do, key_of
from diffres_cli.datasets.shards import ShardWriter, quantized
from diffres_cli.errors import DataError, OutputError, UsageError

RECORDINGS = sorted(path for path in EXAMPLES.iterdir() if path.suffix in {".flac", ".ogg"})
READ = """
import pickle, sys
cache = pickle.load(open(sys.argv[1], "rb"))
sys.stdout.buffer.write(cache.read(range(int(sys.argv[2])), int(sys.argv[3])))
"""


# --- what is in it


@pytest.mark.parametrize(("rate", "seconds"), [(32000, None), (16000, 1.5), (22050, 0.01)])
def test_every_clip_is_as_decoded_alone(tmp_path, rate, seconds):
    formats = [
        write(tmp_path / "pcm16.wav", noise(0.7)),
        write(tmp_path / "pcm24.wav", noise(0.7, 44100, 2), 44100, subtype="PCM_24"),
        write(tmp_path / "float.aiff", noise(0.7, 48000, 3) * 5, 48000, subtype="FLOAT"),
        write(tmp_path / "pcm8.wav", noise(0.7, 11025), 11025, subtype="PCM_U8"),
        write(tmp_path / "music.mp3", noise(0.7, 32000), 32000),
    ]
    stretches = [(0, None), (0.25, None), (0, 0.5), (0.125, 0.625), (0.1, 1000)]
    clips = [
        clip_of(path, *stretch, name=f"{path.name} {stretch}")
        for stretch in stretches
        for path in [*RECORDINGS, *formats]
    ]
    cache, _ = build(clips, tmp_path / "cache", rate, seconds, workers=2)
    assert cache.sample_rate == rate
    assert cache.failures == {}
    assert_holds(cache, clips, seconds)


def test_a_recording_of_16_bits_comes_back_bit_for_bit(tmp_path):
    everything = np.arange(-(2**15), 2**15, dtype=np.int16)
    samples = np.random.default_rng(0).permutation(everything)
    clips = [
        clip_of(write(tmp_path / f"{name}.wav", part, 8000))
        for name, part in [
            ("all", samples),
            ("positive", abs(samples[samples > -(2**15)])),
            ("quiet", samples >> 9),
        ]
    ]
    cache, _ = build(clips, tmp_path / "cache")
    for index, clip in enumerate(clips):
        assert np.array_equal(whole(cache, index), direct(clip, 8000))


@given(arrays(np.float32, st.integers(1, 50), elements=st.floats(-(2.0**31), 2.0**31, width=32)))
def test_nothing_is_clipped_and_no_error_exceeds_half_a_step(samples):
    pcm, step = quantized(samples)
    exact = samples.astype(np.float64)
    assert np.abs(pcm * np.float64(step) - exact).max() <= step / 2
    assert np.log2(step) % 1 == 0
    if np.abs(exact).max() > 1e-29:  # else it may be called silence
        assert step / 2 <= 2.0**-15 * np.abs(exact).max()  # 90 dB


def test_batches_are_padded_and_begin_at_offsets(tmp_path):
    clips = [
        clip for folder, seconds in (("a", 0.3), ("b", 0.05)) for clip in some(tmp_path / folder, 4, seconds)
    ]
    clips = [replace(clip, name=f"{i}") for i, clip in enumerate(clips)]
    clips.insert(3, clip_of(tmp_path / "nowhere.wav"))
    cache, _ = build(clips, tmp_path / "cache")
    generator = np.random.default_rng(0)
    indices = generator.integers(0, len(clips), 40)
    offsets = generator.integers(0, 3000, 40)
    offsets[:5] = 0
    batch = cache.read(indices.tolist(), 1000, offsets.tolist())
    assert (batch.shape, batch.dtype) == ((40, 1000), np.float32)
    for row, index, offset in zip(batch, indices, offsets, strict=True):
        piece = (direct(clips[index], 8000) if index != 3 else np.zeros(0))[offset : offset + 1000]
        assert np.array_equal(row[: len(piece)], piece)  # 16 bits, at their own rate
        assert not row[len(piece) :].any()
    assert np.array_equal(cache.read(indices, 1000), cache.read(indices, 1000, [0] * 40))
    assert cache.read([], 1000).shape == (0, 1000)


@pytest.mark.parametrize("offsets", [[-1, 0], [0], [0, 0, 0]])
def test_offsets_that_cannot_be_are_refused(tmp_path, offsets):
    cache, _ = build([clip_of(tmp_path / "nowhere.wav")], tmp_path / "cache")
    with pytest.raises(ValueError, match="offsets must be 2 numbers >= 0"):
        cache.read([0, 0], 10, offsets)


@pytest.mark.parametrize("wrong", [(0, 1, 0), (8000, 0, 0), (8000, float("nan"), 0), (8000, 1, -1)])
def test_numbers_that_cannot_be_are_refused(tmp_path, wrong):
    rate, seconds, workers = wrong
    with pytest.raises(UsageError, match=r"a cache needs .* not sample_rate="):
        build_cache([], rate, seconds, tmp_path, workers)


def test_a_cache_of_nothing(tmp_path):
    cache, _ = build([], tmp_path / "cache")
    assert (cache.names, cache.lengths.shape, cache.failures) == ((), (0,), {})


# --- what is kept


def test_a_second_look_decodes_nothing(tmp_path):
    clips = some(tmp_path / "in", 40)
    first, decoded = build(clips, tmp_path / "cache", workers=2)
    before = shards(tmp_path)
    assert (decoded, len(before) > 1, debris(tmp_path)) == (40, True, [])
    again, decoded = build(clips, tmp_path / "cache")
    assert (decoded, shards(tmp_path)) == (0, before)
    assert np.array_equal(again.read(range(40), 2400), first.read(range(40), 2400))


def test_parts_of_a_list_in_any_order_are_found(tmp_path):
    clips = some(tmp_path / "in", 40)
    build(clips, tmp_path / "cache")
    part = [clips[i] for i in np.random.default_rng(0).integers(0, 40, 30)]  # some of them twice
    cache, decoded = build(part, tmp_path / "cache")
    assert decoded == 0
    assert_holds(cache, part)


def test_a_clip_that_is_listed_twice_is_decoded_once(tmp_path):
    clip = some(tmp_path / "in", 1)[0]
    clips = [clip, replace(clip, name="again")]
    cache, decoded = build(clips, tmp_path / "cache")
    assert decoded == 1
    assert_holds(cache, clips)


@pytest.mark.parametrize("same", ["size", "time"])
def test_a_changed_file_is_noticed_and_costs_itself(tmp_path, same):
    clips = some(tmp_path / "in", 20)
    path = clips[7].path
    before = path.stat()
    build(clips, tmp_path / "cache")
    write(path, noise(0.3 if same == "size" else 0.4, 8000)[::-1], 8000)
    if same == "time":
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    cache, decoded = build(clips, tmp_path / "cache")
    assert decoded == 1
    assert_holds(cache, clips)


def test_other_stretches_rates_and_lengths_are_other_clips(tmp_path):
    clip = some(tmp_path / "in", 1)[0]
    for other, rate, seconds in [
        (clip, 8000, None),
        (clip, 16000, None),
        (clip, 8000, 0.1),
        (replace(clip, start=0.1), 8000, None),
        (replace(clip, end=0.2), 8000, None),
    ]:
        cache, decoded = build([other], tmp_path / "cache", rate, seconds)
        assert decoded == 1
        assert_holds(cache, [other], seconds)


def test_a_path_means_the_same_from_everywhere(tmp_path, monkeypatch):
    clips = some(tmp_path / "in", 1)
    monkeypatch.chdir(tmp_path)
    relative = replace(clips[0], path=Path("in", "000.wav"))
    assert build([relative], tmp_path / "cache")[1] == 1
    assert build(clips, tmp_path / "cache")[1] == 0


def test_another_process_reads_the_same(tmp_path):
    clips = some(tmp_path / "in", 20)
    cache, _ = build(clips, tmp_path / "cache")
    (tmp_path / "pickle").write_bytes(pickle.dumps(cache))
    run = python(READ, tmp_path / "pickle", "20", "2500")
    assert run.stdout == cache.read(range(20), 2500).tobytes(), run.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
def test_more_shards_than_files_may_be_open(tmp_path):
    clips = some(tmp_path / "in", 200, 0.01)
    folder = tmp_path / "cache" / "8000hz-whole-v1"
    folder.mkdir(parents=True)
    for number, clip in enumerate(clips):
        with (folder / f"{number}.shard").open("wb") as file:
            shard = ShardWriter(file)
            shard.add(key_of(clip), direct(clip, 8000))
            shard.finish("libsndfile")
    cache, decoded = build(clips, tmp_path / "cache")
    assert decoded == 0
    (tmp_path / "pickle").write_bytes(pickle.dumps(cache))
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (150, 150))"
    run = python(limit + READ, tmp_path / "pickle", "200", "80")
    assert run.stdout == np.stack([direct(clip, 8000) for clip in clips]).tobytes(), run.stderr


# --- what fails


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
        "004.wav": "from 0.2 s to 0.1 s is no stretch of time",
        "005.wav": "the recording ends before this clip begins",
        "nan": "from nan s to None s is no stretch of time",
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
    keys = [key_of(clip) for clip in clips]
    folder = tmp_path / "cache" / "8000hz-whole-v1"
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    with unprivileged():  # in this process: a new one could not read our libraries
        done = do(Job(folder, Form(8000, None), tuple(clips), tuple(keys)), lambda keys: None)
    assert done == Done(failures={keys[1]: "no permission to read it"})
    clips[1].path.chmod(0o644)
    cache, decoded = build(clips, tmp_path / "cache")
    assert decoded == 1
    assert_holds(cache, clips)


def test_a_file_that_changes_while_it_is_read_is_no_part_of_the_cache(tmp_path):
    clips = some(tmp_path / "in", 3)
    keys = [key_of(clip) for clip in clips]

    def starting(now: tuple[bytes, ...]) -> None:
        if keys[1] in now:
            write(clips[1].path, noise(0.4, 8000), 8000)

    folder = tmp_path / "cache" / "8000hz-whole-v1"
    folder.mkdir(parents=True)
    done = do(Job(folder, Form(8000, None), tuple(clips), tuple(keys)), starting)
    assert done == Done(failures={keys[1]: "it changed or went away while it was read: run again"})
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


@pytest.mark.parametrize("damage", ["cut short", "index", "emptied", "removed"])
def test_a_damaged_shard_is_made_again(tmp_path, damage):
    clips = some(tmp_path / "in", 20)
    build(clips, tmp_path / "cache")
    path = max((tmp_path / "cache").rglob("*.shard"), key=lambda path: path.stat().st_size)
    data = bytearray(path.read_bytes())
    path.unlink()
    data[-200] ^= 1
    if damage != "removed":
        path.write_bytes({"cut short": data[:-100], "index": data, "emptied": b""}[damage])
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
