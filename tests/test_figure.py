from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection, QuadMesh
from matplotlib.figure import Figure
from matplotlib.text import Text
from predictions import FREQUENCIES, LABELS, prediction, silence, spectrogram

from diffres_cli import load_tagger
from diffres_cli.figure import draw
from diffres_cli.figure.layout import compose
from diffres_cli.figure.write import figure_style
from diffres_cli.inference.timing import warp_edges
from diffres_cli.tagging.prediction import Label, Prediction

DPI = 200


def figure_of(*predictions: Prediction, width: float = 3.5) -> Figure:
    with figure_style():
        figure = compose(predictions, width, DPI)
        FigureCanvasAgg(figure).draw()
    return figure


def meshes(figure: Figure) -> list[QuadMesh]:
    """The spectrograms from top to bottom."""
    return [mesh for axes in figure.axes for mesh in axes.collections if isinstance(mesh, QuadMesh)]


def times(mesh: QuadMesh) -> np.ndarray:
    return mesh.get_coordinates()[0, :, 0]


def panel(figure: Figure, name: str) -> Axes:
    return next(axes for axes in figure.axes if axes.get_ylabel() == name)


def texts(figure: Figure) -> list[Text]:
    found = figure.findobj(Text)
    return [text for text in found if text.get_visible() and text.get_text().strip() and drawn(text)]


def drawn(text: Text) -> bool:
    """Matplotlib keeps texts of ticks that it does not draw; those lie outside or are switched off."""
    axes = text.axes
    return axes is None or axes.axison or text in axes.texts


def test_merged_frames_lie_at_the_times_they_cover():
    view = spectrogram(frames=200, output_frames=50)
    _, merged, _ = meshes(figure_of(prediction(view)))
    np.testing.assert_array_equal(times(merged), view.edges)
    peak = max(view.mel.max(), view.merged.max())
    decibels = np.maximum(10 * np.log10(np.maximum(view.merged, 1e-30) / peak), -80)
    np.testing.assert_allclose(merged.get_array(), decibels, atol=1e-4)


def test_the_classifiers_view_has_one_equal_cell_a_frame():
    view = spectrogram(frames=200, output_frames=50)
    _, merged, frames = meshes(figure_of(prediction(view)))
    np.testing.assert_array_equal(times(frames), np.arange(51))
    np.testing.assert_array_equal(frames.get_array(), merged.get_array())


def test_mel_frames_lie_around_their_centres():
    view = spectrogram(frames=200, output_frames=50, start=3.0)
    mel = meshes(figure_of(prediction(view)))[0]
    np.testing.assert_allclose(times(mel)[1:-1], (view.frame_times[1:] + view.frame_times[:-1]) / 2)
    np.testing.assert_allclose(times(mel)[[0, -1]], [3.0, 5.0])


def test_importance_shows_the_curve_and_its_mean():
    view = spectrogram(frames=100, output_frames=25)
    axes = panel(figure_of(prediction(view)), "Importance")
    values, edges, _ = axes.patches[0].get_data()
    np.testing.assert_array_equal(values, view.importance)
    np.testing.assert_allclose(edges[1:-1], (view.frame_times[1:] + view.frame_times[:-1]) / 2)
    assert axes.get_ylim() == (0, 1)
    assert axes.lines[0].get_ydata()[0] == pytest.approx(0.25, abs=0.01)


def test_the_warp_leads_from_seconds_to_output_frames():
    view = spectrogram(frames=100, output_frames=25, start=1.0)
    axes = panel(figure_of(prediction(view)), "Frame")
    seconds, frames = axes.lines[1].get_data()
    np.testing.assert_array_equal(seconds, view.edges)
    np.testing.assert_array_equal(frames, np.arange(26))
    np.testing.assert_allclose(axes.lines[0].get_xydata(), [[1.0, 0], [2.0, 25]])


def test_the_fan_joins_every_frame_to_its_time():
    view = spectrogram(frames=100, output_frames=25)
    fans = [line for axes in figure_of(prediction(view)).axes for line in axes.collections]
    (fan,) = [found for found in fans if isinstance(found, LineCollection)]
    ends = np.array(fan.get_segments())
    np.testing.assert_allclose(ends[:, 0, 0], view.edges / 1.0, atol=1e-12)
    np.testing.assert_allclose(ends[:, 1, 0], np.arange(26) / 25)


def test_all_panels_but_the_classifiers_share_the_time_axis():
    figure = figure_of(prediction(spectrogram(200, 50, start=4.0)))
    on_time = [axes.get_xlim() for axes in figure.axes if axes.axison][:-1]
    assert on_time == [(4.0, 6.0)] * 4


def test_frequencies_are_labelled_at_their_mel_bins():
    mel = meshes(figure_of(prediction(spectrogram(50, 12))))[0].axes
    places = dict(zip([label.get_text() for label in mel.get_yticklabels()], mel.get_yticks(), strict=True))
    assert set(places) >= {"8", "4", "2", "1"}
    for kilohertz, place in places.items():
        nearest = round(place - 0.5)  # a bin's centre lies half a bin above its lower edge
        assert FREQUENCIES[nearest] == pytest.approx(1000 * float(kilohertz), rel=0.1)


def test_several_rates_share_the_mel_and_its_colours():
    view = spectrogram(200, 200)
    rates = [
        prediction(spectrogram(200, output_frames), fps=output_frames / 2) for output_frames in (50, 100)
    ]
    figure = figure_of(*rates, prediction(view, fps=100))
    mel, *merged = meshes(figure)
    assert [len(times(mesh)) - 1 for mesh in merged] == [50, 100, 200]
    assert {mesh.get_clim() for mesh in (mel, *merged)} == {(-80, 0)}
    shown = " ".join(text.get_text() for text in texts(figure))
    assert all(f"{fps} fps" in shown for fps in (25, 50, 100))


@pytest.mark.parametrize("width", [3.5, 7])
@pytest.mark.parametrize("rates", [1, 3])
@pytest.mark.parametrize("windows", [1, 30, 60])
@pytest.mark.parametrize(
    ("output_frames", "even"), [(1000, []), (500, []), (500, [0]), (500, range(60))], ids=str
)
def test_words_are_legible_inside_the_picture_and_apart(width, rates, windows, output_frames, even):
    views = [spectrogram(1000, output_frames, start=10.0 * k, even=k in even) for k in range(windows)]
    labels = (*LABELS, Label("Vehicle horn, car horn, honking", "/m/0912c9", 0.2))
    figure = figure_of(*[prediction(*views, fps=100, labels=labels, file="i" * 99)] * rates, width=width)
    assert min(text.get_fontsize() for text in texts(figure)) >= 6
    with figure_style():  # widths depend on hinting
        boxes = {text: text.get_window_extent() for text in texts(figure)}
    assert [text.get_text() for text, box in boxes.items() if not inside(box, figure)] == []
    touching = [pair for pair in combinations(boxes, 2) if boxes[pair[0]].overlaps(boxes[pair[1]])]
    assert [(one.get_text(), other.get_text()) for one, other in touching] == []


def test_the_words_on_the_warp_are_clear_of_it():
    for loud in (slice(0, 20), slice(80, 100)):
        view = spectrogram(100, 25)
        importance = np.full(100, 0.08, np.float32)
        importance[loud] = 0.93
        edges = warp_edges(importance, 25, 100.0, 0.0, 1.0)
        axes = panel(figure_of(prediction(replace(view, importance=importance, edges=edges))), "Frame")
        (words,) = [text for text in axes.texts if text.get_text() == "dashed: evenly spaced"]
        box = words.get_window_extent()
        for line in axes.lines:
            fine = np.linspace(0, 1, 500)
            curve = np.interp(fine, *line.get_data())
            places = axes.transData.transform(np.stack([fine, curve], axis=1))
            assert not any(box.contains(*place) for place in places)


@pytest.mark.parametrize(
    ("start", "duration", "words"), [(0, 2.0, "2 s"), (0, 9.0, "0–2 s"), (4.0, 6.0, "4–6 s")]
)
def test_a_part_of_a_recording_is_called_one(start, duration, words):
    whole = replace(prediction(spectrogram(200, 50, start=start)), duration=duration)
    shown = [text.get_text() for text in texts(figure_of(whole))]
    assert f"street.wav · audioset-small · {words} · 25 fps" in shown


def inside(box, figure):
    return box.x0 >= 0 and box.y0 >= 0 and box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1


def test_a_long_recording_has_no_more_cells_than_pixels():
    views = [spectrogram(1000, 500, start=10.0 * k, seed=k) for k in range(30)]
    figure = figure_of(prediction(*views, fps=50))
    pixels = figure.axes[0].get_position().width * 3.5 * DPI
    assert {len(times(mesh)) - 1 for mesh in meshes(figure)} == {round(pixels)}
    assert times(meshes(figure)[1])[-1] == 300.0


@pytest.mark.parametrize(
    "view",
    [silence(200, 50), spectrogram(50, 25), spectrogram(100, 100), spectrogram(1, 1), spectrogram(3, 3)],
    ids=["silence", "half a second", "full rate", "one frame", "three frames"],
)
def test_odd_recordings_are_drawn(view, tmp_path):
    draw([prediction(view)], tmp_path / "odd.png")
    assert (tmp_path / "odd.png").read_bytes().startswith(b"\x89PNG")


def test_at_full_rate_there_is_one_spectrogram_alone():
    full, merged = figure_of(prediction(spectrogram(100, 100))), figure_of(prediction(spectrogram(100, 25)))
    (mel,) = meshes(full)
    np.testing.assert_allclose(mel.get_array(), meshes(merged)[0].get_array(), atol=1e-4)
    assert panel_names(full) == {"kHz"}
    assert height(mel) > 2 * height(meshes(merged)[0])


def test_at_full_rate_beside_another_merging_changes_nothing():
    rates = [prediction(spectrogram(100, output_frames), fps=output_frames) for output_frames in (25, 100)]
    mel, _, merged = meshes(figure_of(*rates))
    np.testing.assert_allclose(merged.get_array(), mel.get_array(), atol=1e-4)
    np.testing.assert_allclose(times(merged), times(mel), atol=1e-6)


@pytest.mark.parametrize("rates", [1, 2])
def test_where_importance_is_even_the_spectrograms_have_its_room(rates):
    views = [spectrogram(200, 50, start=2.0 * k) for k in range(2)]
    evenly = [spectrogram(200, 50, start=2.0 * k, even=True) for k in range(2)]
    figure, usual = (figure_of(*[prediction(*each)] * rates) for each in (evenly, views))
    assert panel_names(figure) == {"kHz"}
    assert height(meshes(figure)[1]) > 1.5 * height(meshes(usual)[1])
    assert len(meshes(figure)) == 1 + rates
    assert any("even" in text.get_text() for text in texts(figure))


def test_importance_is_grey_in_the_windows_where_it_is_even():
    views = [spectrogram(100, 25, start=float(k), even=k in (1, 2)) for k in range(4)]
    figure = figure_of(prediction(*views))
    dark, grey = panel(figure, "Importance").patches
    values, edges, _ = grey.get_data()
    even = (edges[:-1] >= 1) & (edges[1:] <= 3)
    np.testing.assert_array_equal(values, np.where(even, dark.get_data()[0], 0))
    assert grey.get_facecolor() != dark.get_facecolor()
    assert any("grey: even" in text.get_text() for text in texts(figure))


def panel_names(figure: Figure) -> set[str]:
    """What the vertical axes are called."""
    return {axes.get_ylabel() for axes in figure.axes}


def height(mesh: QuadMesh) -> float:
    """Of a spectrogram's panel, in pixels."""
    return mesh.axes.bbox.height


def test_no_label_is_said_in_words():
    shown = [text.get_text() for text in texts(figure_of(prediction(silence(50, 12), labels=())))]
    assert "no label scores 0.1 or more" in shown


def test_what_the_model_hears_is_drawn(tmp_path):
    time = np.arange(96000) / 32000
    bursts = (np.sin(2 * np.pi * 1000 * time) * (time % 1 < 0.3) * 0.3).astype(np.float32)
    tagger = load_tagger()
    rates = [tagger.tag(bursts, sample_rate=32000, fps=fps) for fps in (25, 50)]
    draw(rates, tmp_path / "a.png")
    draw(rates[:1], tmp_path / "a.svg")
    figure = figure_of(rates[0])
    np.testing.assert_array_equal(times(meshes(figure)[1]), rates[0].edges[0])
    # The tone lies at 1 kHz: the brightest bin is the one beside the tick.
    mel = meshes(figure)[0]
    ticks = dict(zip([t.get_text() for t in mel.axes.get_yticklabels()], mel.axes.get_yticks(), strict=True))
    assert abs(int(mel.get_array().max(axis=1).argmax()) + 0.5 - ticks["1"]) <= 1
