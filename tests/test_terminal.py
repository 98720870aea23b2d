import io
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from predictions import prediction, silence, spectrogram
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment

from diffres_cli.errors import UsageError
from diffres_cli.figure.data import Cells, magma_rgb, prepare_data, relative_level, resample
from diffres_cli.figure.terminal import render_picture, render_strip
from diffres_cli.tagging.prediction import Label

WIDTHS = [1, 7, 20, 47, 48, 80, 200]


class Terminal(io.TextIOWrapper):
    """A text stream of a given encoding, as standard output is one."""

    def __init__(self, encoding: str) -> None:
        super().__init__(io.BytesIO(), encoding=encoding, write_through=True, newline="")

    def shown(self) -> str:
        return self.buffer.getvalue().decode(self.encoding)


def console(colours="truecolor", width=500, encoding="utf-8", **options):
    return Console(
        file=Terminal(encoding),
        width=width,
        force_terminal=True,
        color_system=colours,
        legacy_windows=False,
        _environ={},
        **options,
    )


def printed(drawing, **options) -> list[str]:
    target = console(**options)
    target.print(drawing)
    return target.file.shown().splitlines()


def cells(drawing) -> list[list[Segment]]:
    """The lines of a drawing in true colour, letter by letter."""
    target = console()
    lines = Segment.split_lines(target.render(drawing, target.options))
    return [[Segment(letter, part.style) for part in line for letter in part.text] for line in lines]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("seconds", [0.01, 0.5, 10, 3000])
def test_a_strip_is_five_lines_exactly_as_wide_as_asked(width, seconds):
    view = spectrogram(50, 12)
    stretched = replace(view, edges=view.edges * 2 * seconds, frame_times=view.frame_times * 2 * seconds)
    for encoding in ["utf-8", "ascii"]:
        lines = printed(render_strip(prediction(stretched), width), colours=None, encoding=encoding)
        assert [cell_len(line) for line in lines] == [width] * 5


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("height", [1, 5, 6, 7, 24, 51])
def test_a_picture_has_the_size_asked_for(width, height):
    shown = prediction(spectrogram(50, 12), labels=(Label("犬の鳴き声", "/m/05tny_", 0.9),))
    lines = printed(render_picture(shown, width, height), colours=None)
    assert [cell_len(line) for line in lines] == [width] * max(5, height)


def test_each_column_has_the_colour_of_the_merged_frame_that_covers_its_time():
    view = spectrogram(100, 9)
    shown = cells(render_strip(prediction(view, fps=9), width=211))[1:4]
    peak = prepare_data(prediction(view), 200).peak
    grid = np.linspace(0, 1, 201)
    bins = Cells(view.merged.T, np.linspace(0, 6, len(view.merged) + 1))
    rows = relative_level(resample([bins], np.arange(7.0)).T[::-1], peak)
    checked = 0
    for column in range(200):
        for frame in range(9):
            if view.edges[frame] <= grid[column] and grid[column + 1] <= view.edges[frame + 1]:
                halves = [half for line in shown for half in colours(line[11 + column])]
                expected = magma_rgb(rows[:, frame]).astype(int)
                assert np.abs(np.array(halves) - expected).max() <= 4  # 64 steps of colour
                checked += 1
    assert checked >= 200 - 2 * 9


def colours(cell: Segment) -> list[tuple[int, ...]]:
    """Of an upper half block: the foreground is above the background."""
    assert cell.text == "▀"
    return [tuple(colour.triplet) for colour in (cell.style.color, cell.style.bgcolor)]


def test_high_frequencies_are_above():
    view = spectrogram(50, 25)
    mel, merged = (np.zeros_like(power) for power in (view.mel, view.merged))
    mel[-1] = merged[-1] = 1.0
    high = replace(view, mel=mel, merged=merged)
    lines = printed(render_picture(prediction(high, fps=50), 60, 11), colours=None)
    assert [line[11:].strip() != "" for line in lines[1:5]] == [True, False, False, False]
    assert lines[1].startswith("    14 kHz ")
    assert lines[4].startswith("     32 Hz ")


def test_importance_stands_as_bars_over_its_time():
    view = spectrogram(80, 20)
    bars = printed(render_strip(prediction(view), 91), colours=None)[0][11:]
    levels = resample([prepare_data(prediction(view), 80).importance], np.linspace(0, 0.8, 81))[0]
    assert bars == "".join("▁▂▃▄▅▆▇█"[min(7, int(8 * level))] for level in levels)
    assert len(set(bars)) > 3


@pytest.mark.parametrize("width", [20, 80])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_where_importance_is_even_words_stand_for_its_bars(width, encoding):
    shown = prediction(spectrogram(100, 25, even=True))
    line = printed(render_picture(shown, width, 12), colours=None, encoding=encoding)[6]
    assert "merged evenly" in line
    assert len(line) == width
    assert set(line) <= set("abcdefghijklmnopqrstuvwxyz: ")


def test_words_stand_for_the_bars_of_even_windows_alone():
    views = [spectrogram(100, 25, start=float(k), even=k in (1, 2)) for k in range(4)]
    words = printed(render_strip(prediction(*views), 91), colours=None)[0][11:]
    varied = [replace(view, importance=spectrogram(100, 25).importance) for view in views]
    bars = printed(render_strip(prediction(*varied), 91), colours=None)[0][11:]
    assert (words[:20], words[60:]) == (bars[:20], bars[60:])
    assert words[20:60].strip() == "even here: frames are merged evenly"


def test_bars_stay_where_there_is_no_room_for_words():
    bars = printed(render_strip(prediction(spectrogram(100, 25, even=True)), 5), colours=None)[0]
    assert set(bars) <= set("▁▂▃▄▅▆▇█")


def test_at_full_rate_there_is_one_spectrogram_and_no_bars():
    lines = printed(render_picture(prediction(spectrogram(100, 100), fps=100), 80, 20), colours=None)
    names = [line[:11].strip() for line in lines[1:]]
    assert [name for name in names if name] == ["14 kHz", "mel", "32 Hz", "importance", "time"]
    assert len(lines) == 20
    assert lines[-2][11:].strip() == "no frames are merged at 100 fps"


@pytest.mark.parametrize("start", [0.0, 7.0])
def test_ticks_stand_at_their_seconds(start):
    views = [spectrogram(1000, 250, start=start + 10 * k) for k in range(3)]
    axis = printed(render_strip(prediction(*views), 101), colours=None)[-1][11:]
    ticks = [column for column, letter in enumerate(axis) if letter == "╵"]
    numbers = [float(word.removeprefix("╵")) for word in axis.replace(" s", "  ").split()]
    assert len(ticks) >= 5
    assert axis.count(" s") == 1
    for column, seconds in zip(ticks, numbers, strict=True):
        assert -1e-9 <= (seconds - start) / 30 * 90 - column < 1


def test_a_picture_names_labels_rate_and_parts():
    lines = printed(render_picture(prediction(spectrogram(50, 12)), 80, 20), colours=None)
    assert lines[0].startswith("Siren 0.93  Police car (siren) 0.41")
    names = [line[:11].strip() for line in lines[1:]]
    assert [name for name in names if name] == [
        "14 kHz", "mel", "32 Hz", "importance", "14 kHz", "25 fps", "32 Hz", "time",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("options", "colour"),
    [
        ({"colours": None}, True),
        ({"colours": "standard"}, True),
        ({"no_color": True}, True),
        ({}, False),
    ],
    ids=["no colours", "sixteen colours", "NO_COLOR", "not wanted"],
)
def test_without_colour_there_are_shades_and_no_codes(options, colour):
    lines = printed(render_picture(prediction(spectrogram(50, 12)), 60, 12, colour=colour), **options)
    assert not any("\x1b[" in line for line in lines)
    assert set("".join(line[11:] for line in lines[1:5])) <= set(" ░▒▓█")


def test_two_hundred_and_fifty_six_colours_are_enough():
    lines = printed(render_strip(prediction(spectrogram(50, 12)), 60), colours="256")
    assert "\x1b[38;5;" in lines[1]
    assert "▀" in lines[1]


def test_silence_is_dark():
    body = cells(render_strip(prediction(silence(50, 12)), 60))[1:4]
    assert {tone for line in body for cell in line[11:] for tone in colours(cell)} == {
        tuple(magma_rgb(np.array(0.0)))
    }
    lines = printed(render_picture(prediction(silence(50, 12), labels=()), 60, 9), colours=None)
    assert lines[0].startswith("no label scores 0.1 or more")


@pytest.mark.parametrize(
    "environment",
    [
        {"TERM": "dumb"},
        {"NO_COLOR": "1", "TERM": "xterm-256color", "FORCE_COLOR": "1"},
        {"PYTHONIOENCODING": "ascii", "TERM": "xterm-256color", "FORCE_COLOR": "1"},
        {"PYTHONIOENCODING": "latin-1", "TERM": "vt100"},
    ],
    ids=["dumb", "NO_COLOR", "ascii", "latin-1"],
)
def test_poor_terminals_get_a_picture_without_colour(environment):
    code = (
        "from rich.console import Console\n"
        "from diffres_cli.figure.terminal import render_picture, render_strip\n"
        "from predictions import prediction, spectrogram; from diffres_cli.tagging.prediction import Label\n"
        "console = Console(width=60)\n"
        "console.print(render_strip(prediction(spectrogram(50, 12)), 60))\n"
        "shown = prediction(spectrogram(50, 12), labels=(Label('Müll', '', 0.5),))\n"
        "console.print(render_picture(shown, 60, 12))\n"
    )
    inherited = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "FORCE_COLOR")}
    result = subprocess.run(
        [sys.executable, "-X", "utf8=0", "-c", code],
        cwd=Path(__file__).parent,
        env={**inherited, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        check=True,
    )
    assert b"\x1b[38" not in result.stdout
    assert result.stdout.count(b"\n") == 17
    assert result.stderr == b""


def test_drawing_in_a_terminal_needs_no_matplotlib():
    code = (
        "import sys; from rich.console import Console; from diffres_cli.figure.terminal import render_strip\n"
        "assert 'rich.segment' in sys.modules\n"
        "from predictions import prediction, spectrogram\n"
        "Console(file=sys.stderr).print(render_strip(prediction(spectrogram(50, 12)), 60))\n"
        "print('matplotlib' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


def test_a_recording_tagged_without_spectrograms_cannot_be_drawn():
    tagged = prediction(spectrogram(20, 8))
    bare = replace(tagged, windows=(replace(tagged.windows[0], spectrogram=None),))
    with pytest.raises(UsageError, match="no spectrogram"):
        render_strip(bare, 60)
