from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from predictions import prediction, silence, spectrogram

from diffres_cli.errors import UsageError
from diffres_cli.figure.data import Cells, join_cells, magma_rgb, prepare_data, relative_level, resample


def resample_by_loop(cells, grid):
    """Column by column, cell by cell: the mean over the column's width of what covers it."""
    out = np.zeros((len(cells.values), len(grid) - 1))
    for column in range(len(grid) - 1):
        for cell in range(cells.values.shape[1]):
            shared = min(cells.edges[cell + 1], grid[column + 1]) - max(cells.edges[cell], grid[column])
            if shared > 0:
                out[:, column] += cells.values[:, cell] * shared
        out[:, column] /= grid[column + 1] - grid[column]
    return out


@given(st.lists(st.sampled_from([0.0, 0.1, 0.5, 3.0]), min_size=1, max_size=12), st.integers(1, 9))
def test_columns_average_what_lies_in_them(widths, columns):
    if sum(widths) == 0:
        widths = [*widths, 1.0]
    edges = 5 + np.concatenate([[0.0], np.cumsum(widths)])
    cells = Cells(np.random.default_rng(len(widths)).random((3, len(widths))), edges)
    grid = np.linspace(edges[0], edges[-1], columns + 1)
    np.testing.assert_allclose(resample([cells], grid), resample_by_loop(cells, grid), atol=1e-12)


def test_many_cells_average_as_few_do():
    generator = np.random.default_rng(0)  # more cells than are taken at once, in two parts
    edges = np.sort(generator.random(3001))
    values = generator.random((2, 3000))
    grid = np.linspace(edges[0], edges[-1], 12)
    parts = [Cells(values[:, :1800], edges[:1801]), Cells(values[:, 1800:], edges[1800:])]
    whole = resample_by_loop(Cells(values, edges), grid)
    np.testing.assert_allclose(resample(parts, grid), whole, atol=1e-12)


def test_each_column_shows_the_merged_frame_that_covers_its_time():
    view = spectrogram(frames=100, output_frames=9)
    picture = prepare_data(prediction(view), limit=400)
    grid = np.linspace(0, 1, 401)
    columns = resample([picture.merged], grid)
    shown = 0
    for column in range(400):
        for frame in range(9):
            if view.edges[frame] <= grid[column] and grid[column + 1] <= view.edges[frame + 1]:
                np.testing.assert_allclose(columns[:, column], view.merged[:, frame], rtol=1e-6)
                shown += 1
    assert shown >= 400 - 2 * 9  # all but the columns an edge falls into


def test_a_short_recording_keeps_its_frames_and_their_edges():
    view = spectrogram(frames=50, output_frames=12)
    picture = prepare_data(prediction(view), limit=50)
    np.testing.assert_array_equal(picture.merged.edges, view.edges)
    np.testing.assert_array_equal(picture.merged.values, view.merged)
    np.testing.assert_array_equal(picture.mel.values, view.mel)
    np.testing.assert_allclose(picture.mel.edges, [0, *(np.arange(49) + 0.5) / 100, 0.5])
    np.testing.assert_array_equal(picture.frames.edges, np.arange(13))
    np.testing.assert_array_equal(picture.warp, [view.edges, np.arange(13)])


def test_frames_without_duration_are_seen_by_the_classifier_but_have_no_place_in_time():
    view = spectrogram(frames=40, output_frames=10)
    edges = view.edges.copy()
    edges[4] = edges[3]
    picture = prepare_data(prediction(replace(view, edges=edges)), limit=100)
    np.testing.assert_array_equal(picture.merged.values, np.delete(view.merged, 3, axis=1))
    assert (np.diff(picture.merged.edges) > 0).all()
    np.testing.assert_array_equal(picture.frames.values, view.merged)


def test_windows_follow_one_another():
    views = [
        spectrogram(50, 12),
        spectrogram(50, 12, start=0.5, seed=1),
        spectrogram(20, 8, start=1.0, seed=2),
    ]
    picture = prepare_data(prediction(*views), limit=1000)
    np.testing.assert_array_equal(picture.mel.values, np.concatenate([view.mel for view in views], axis=1))
    np.testing.assert_array_equal(picture.frames.edges, np.arange(33))
    assert picture.span == (0.0, 1.2)


def test_of_overlapping_windows_each_is_drawn_until_the_next_starts():
    views = [spectrogram(100, 25, start=0.6 * k, seed=k) for k in range(3)]
    picture = prepare_data(prediction(*views), limit=1000)
    assert (np.diff(picture.merged.edges) > 0).all()
    for column in np.arange(0.0, 2.2, 0.1):
        owner = views[min(2, int(column / 0.6 + 1e-9))]
        within = np.array([column, column + 0.1])
        expected = resample([Cells(owner.merged, owner.edges)], within)
        np.testing.assert_allclose(resample([picture.merged], within), expected, rtol=1e-5, atol=1e-9)
    spent = [np.interp(view.edges[0] + 0.6, view.edges, np.arange(26)) for view in views[:2]] + [25]
    np.testing.assert_allclose(picture.frames.edges[-1], sum(spent))
    np.testing.assert_allclose(picture.warp[:, -1], [2.2, sum(spent)])


def test_even_windows_that_meet_are_one_part():
    views = [spectrogram(60, 15, start=0.6 * k, even=k in (0, 2, 3)) for k in range(5)]
    picture = prepare_data(prediction(*views), limit=1000)
    np.testing.assert_allclose(picture.even_parts, [(0, 0.6), (1.2, 2.4)])
    assert (picture.is_even, picture.is_merged) == (False, True)
    picture = prepare_data(prediction(*(views[k] for k in (2, 3))), limit=10)
    assert (picture.is_even, picture.is_merged) == (True, True)


def test_where_no_frame_is_merged_nothing_is_merged_evenly():
    picture = prepare_data(prediction(spectrogram(60, 60, even=True)), limit=1000)
    assert (picture.even_parts, picture.is_merged, picture.is_even) == ((), False, False)


def test_long_recordings_are_reduced_and_keep_their_mean():
    views = [spectrogram(100, 25, start=float(k), seed=k) for k in range(30)]
    picture = prepare_data(prediction(*views), limit=64)
    for cells in (picture.mel, picture.importance, picture.merged, picture.frames):
        assert cells.values.shape[1] == 64
    np.testing.assert_allclose(picture.importance.values.mean(), 0.25, atol=2e-3)  # half hops at the seams
    assert picture.warp.shape == (2, 65)
    assert (np.diff(picture.warp) > 0).all()


def test_a_recording_tagged_without_spectrograms_cannot_be_drawn():
    tagged = prediction(spectrogram(20, 8))
    bare = replace(tagged, windows=(replace(tagged.windows[0], spectrogram=None),))
    with pytest.raises(UsageError, match=r"street\.wav: no spectrogram"):
        prepare_data(bare, 80)


def test_loudness_of_silence_is_dark():
    assert (relative_level(np.zeros((2, 3)), peak=0.0) == 0).all()
    assert prepare_data(prediction(silence(20, 8)), 80).peak == 0


def test_magma_is_matplotlibs():
    fractions = np.linspace(0, 1, 256)
    theirs = matplotlib.colormaps["magma"](fractions)[:, :3] * 255
    assert np.abs(magma_rgb(fractions) - theirs).max() < 3  # sixteen anchors, linear in between


def test_one_part_joins_to_itself():
    cells = Cells(np.arange(6.0).reshape(2, 3), np.array([1.0, 2.0, 4.0, 4.5]))
    assert join_cells([cells], 3).values.tolist() == cells.values.tolist()
