"""Cached waveforms are what decoding each clip alone gives, and what has changed is noticed."""

from __future__ import annotations

import os
import pickle
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from audio_files import noise, python, write
from cache_builds import assert_holds, build, clip_of, debris, direct, shards, some, whole
from command import EXAMPLES
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from diffres_cli.datasets.waveforms.cache import build_cache
from diffres_cli.datasets.waveforms.decoding import WaveformFormat, clip_key
from diffres_cli.datasets.waveforms.jobs import plan_jobs
from diffres_cli.datasets.waveforms.shards import ShardWriter, locate_clips, quantize
from diffres_cli.errors import UsageError

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
@example(np.array([0.99999], np.float32))
def test_nothing_is_clipped_and_no_error_exceeds_half_a_step(samples):
    pcm, step = quantize(samples)
    exact = samples.astype(np.float64)
    assert np.abs(pcm * np.float64(step) - exact).max() <= step / 2
    assert np.log2(step) % 1 == 0
    if np.abs(exact).max() > 1e-29:  # else it may be called silence
        # 90 dB below the peak; a peak of 32767.5 steps or more would round to one that int16 does not have.
        assert step / 2 <= 2.0**-15 * np.abs(exact).max() * (1 + 2.0**-15)


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


def test_what_is_missing_is_planned_as_the_whole_list_would_be(tmp_path):
    clips = [clip_of(tmp_path / f"{i:04}.wav") for i in range(1000)]
    keys = [f"{i:032x}".encode() for i in range(1000)]
    nothing = locate_clips(tmp_path, keys)
    jobs = plan_jobs(tmp_path, WaveformFormat(8000, None), clips, keys, nothing)
    assert [key for job in jobs for key in job.keys] == keys
    first = len(jobs[0].keys)
    nothing.clips["shard"][: first + 1] = 0  # the first job was done, and a clip of the second
    rest = plan_jobs(tmp_path, WaveformFormat(8000, None), clips, keys, nothing)
    assert rest[0].keys == jobs[1].keys[1:]
    assert [job.name for job in rest[1:]] == [job.name for job in jobs[2:]]


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
            shard.add(clip_key(clip), direct(clip, 8000))
            shard.finish()
    cache, decoded = build(clips, tmp_path / "cache")
    assert decoded == 0
    (tmp_path / "pickle").write_bytes(pickle.dumps(cache))
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (150, 150))"
    run = python(limit + READ, tmp_path / "pickle", "200", "80")
    assert run.stdout == np.stack([direct(clip, 8000) for clip in clips]).tobytes(), run.stderr
