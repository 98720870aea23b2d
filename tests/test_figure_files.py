import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import matplotlib
import pytest
from predictions import prediction, spectrogram

from diffres_cli.errors import OutputError, UsageError
from diffres_cli.figure import draw

SUFFIXES = [".png", ".svg", ".pdf"]
SVG_TEXT = "{http://www.w3.org/2000/svg}text"


def test_a_png_has_the_size_asked_for(tmp_path):
    draw([prediction(spectrogram(100, 25))], tmp_path / "a.PNG", width=5, dpi=100)
    header = (tmp_path / "a.PNG").read_bytes()[:24]
    assert int.from_bytes(header[16:20], "big") == 500


def test_an_svg_has_letters_and_small_pictures(tmp_path):
    draw([prediction(spectrogram(1000, 250))], tmp_path / "a.svg")
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    words = " ".join("".join(node.itertext()) for node in root.iter(SVG_TEXT))
    for expected in [
        "Siren 0.93",
        "Time (s)",
        "kHz",
        "Importance",
        "dB re peak",
        "Frame",
        "25 fps",
        "street.wav",
    ]:
        assert expected in words
    fonts = {node.get("style").split("font-family: ")[1].split(";")[0] for node in root.iter(SVG_TEXT)}
    assert fonts == {"'DejaVu Sans', sans-serif"}  # where the first is not installed
    assert len(list(root.iter("{http://www.w3.org/2000/svg}image"))) >= 3
    assert (tmp_path / "a.svg").stat().st_size < 1_000_000


def test_a_pdf_is_whole_and_embeds_its_fonts(tmp_path):
    draw([prediction(spectrogram(1000, 250))], tmp_path / "a.pdf")
    data = (tmp_path / "a.pdf").read_bytes()
    assert data.startswith(b"%PDF-")
    assert data.rstrip().endswith(b"%%EOF")
    assert b"/FontFile2" in data  # TrueType, not the Type 3 that publishers refuse
    assert b"/Type3" not in data


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_same_prediction_gives_the_same_bytes(suffix, tmp_path, monkeypatch):
    shown = [prediction(spectrogram(100, 25))]
    draw(shown, tmp_path / f"first{suffix}")
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red", "svg.fonttype": "path"}):
        draw(shown, tmp_path / f"second{suffix}")
        assert matplotlib.rcParams["font.size"] == 30  # the caller's settings are given back
    assert (tmp_path / f"first{suffix}").read_bytes() == (tmp_path / f"second{suffix}").read_bytes()


def test_strange_names_stay_words(tmp_path, recwarn):
    draw([prediction(spectrogram(50, 25), file="dir/a $x_1$ 日本 <&> \udcff\n.wav")], tmp_path / "a.svg")
    root = ElementTree.parse(tmp_path / "a.svg").getroot()
    assert r"a $x_1$ 日本 <&> \xff\n.wav" in "".join(root.itertext())
    draw([prediction(spectrogram(50, 25), file="日本.wav")], tmp_path / "a.png")
    assert not recwarn.list


def test_other_formats_are_refused_before_any_work(tmp_path):
    for name in ["a.jpg", "a", "a.png.txt"]:
        with pytest.raises(UsageError, match=r"\.png, \.svg or \.pdf"):
            draw([], tmp_path / name)


def test_nothing_to_draw_is_said(tmp_path):
    with pytest.raises(UsageError, match="at least one frame rate"):
        draw([], tmp_path / "a.png")


@pytest.mark.parametrize("wrong", [prediction(spectrogram(50, 25)), ["a.wav"], None, 5])
def test_what_is_no_list_of_predictions_is_refused(wrong):
    with pytest.raises(UsageError, match=r"^predictions: expected a list of them"):
        draw(wrong)


@pytest.mark.parametrize("width", [0.0, 1.0, 1e6, float("nan")])
def test_a_width_without_room_is_refused(width, tmp_path):
    with pytest.raises(UsageError, match=r"2\.5 to 40 inches"):
        draw([prediction(spectrogram(50, 25))], tmp_path / "a.png", width=width)


def test_a_missing_folder_is_said_in_one_line(tmp_path):
    with pytest.raises(OutputError) as caught:
        draw([prediction(spectrogram(50, 25))], tmp_path / "missing" / "a.png")
    assert re.fullmatch(r".*a\.png.*", str(caught.value))


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on file sizes there")
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failed_write_leaves_what_was_there(suffix, tmp_path):
    # A limit on the size of files fails like a full disk does, in the middle of the picture.
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"before")
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from diffres_cli.figure import draw; from diffres_cli.errors import OutputError\n"
        "from predictions import prediction, spectrogram\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n"
        "try: draw([prediction(spectrogram(100, 25))], Path(sys.argv[1]))\n"
        "except OutputError as error: print(error)\n"
    )
    tests = Path(__file__).parent
    result = subprocess.run(
        [sys.executable, "-c", code, str(path)], cwd=tests, capture_output=True, text=True, check=True
    )
    assert "too large" in result.stdout
    assert str(path) in result.stdout
    assert result.stdout.count("\n") == 1
    assert [found.name for found in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"before"


def test_pyplot_is_never_imported(tmp_path):
    code = (
        "import sys; from pathlib import Path; from diffres_cli.figure import draw\n"
        "assert 'matplotlib' not in sys.modules\n"
        "from predictions import prediction, spectrogram\n"
        "draw([prediction(spectrogram(50, 25))], Path(sys.argv[1]))\n"
        "print('matplotlib.pyplot' in sys.modules)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.png")]
    result = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"
