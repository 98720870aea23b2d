"""What the README and docs/ show is run as printed."""

import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, STDOUT

import pytest
from hub_cache import settings
from hub_server import Hub

import diffres_cli
from diffres_cli.datasets.catalog import SOURCES

ROOT = Path(__file__).parent.parent
DOCS = ("onnx.md", "cli.md", "batch.md", "models.md", "python.md", "extend.md")
PAGES = (ROOT / "README.md", *(ROOT / "docs" / name for name in DOCS))
SET_UP = ("scripts/", "pip install")  # these make environments: the house's own commands, run by CI


def blocks(language: str) -> list[str]:
    found = [re.findall(rf"```{language}\n(.*?)```", page.read_text("utf-8"), re.DOTALL) for page in PAGES]
    return [block for page in found for block in page]


def shell_lines() -> list[str]:
    lines = [line.split("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    return [line for line in lines if line and not any(word in line for word in SET_UP)]


def test_the_readme_counts_the_datasets() -> None:
    words = ("five", "six", "seven", "eight", "nine", "ten")
    (said,) = re.findall(r"on one of (\w+) datasets or on clips of your own", PAGES[0].read_text("utf-8"))
    assert words.index(said) + 5 == len(SOURCES.keys() - {"folder"})


NUMBER = r"\d+\.\d{2,}"  # a score or a time, as a model gives it; "0.1" is a setting, "8.0" a length


def is_as_shown(printed: str, shown: str) -> bool:
    """Whether a page shows what was printed. An ellipsis stands for what differs from run to run.

    Numbers may differ by one in their last digit, since another processor rounds the sums of a model another
    way (`tagging.record.DECIMALS`); Audacity's times, by the last digit that is not filled up with zeros.
    """
    text, numbers = re.split(NUMBER, shown), re.findall(NUMBER, shown)
    pattern = f"({NUMBER})".join(re.escape(piece).replace("…", ".*") for piece in text)
    found = re.fullmatch(pattern, printed, re.DOTALL)
    return found is not None and all(map(_nearly, found.groups(), numbers))


def _nearly(printed: str, shown: str) -> bool:
    places = len(shown.partition(".")[2])
    unit = 10.0 ** -(3 if places == 6 else places)
    return len(printed) == len(shown) and abs(float(printed) - float(shown)) < 1.5 * unit


@pytest.mark.parametrize(
    ("printed", "same"),
    [
        ("0.624000 Siren 0.9507 in tmp", True),
        ("0.625000 Siren 0.9505 in any", True),
        ("0.624000 Siren 0.9508 in tmp", False),
        ("0.626000 Siren 0.9506 in tmp", False),
        ("0.624000 Siren 0.95 in tmp", False),
        ("0.624000 Sirene 0.9506 in tmp", False),
    ],
)
def test_only_the_last_digit_of_a_number_may_differ(printed: str, same: bool) -> None:
    assert is_as_shown(printed, "0.624000 Siren 0.9506 in …") is same


@pytest.fixture
def workplace(tmp_path: Path) -> Path:
    """A folder in which the README's relative paths hold and new files do no harm."""
    for name in ("examples", "checkpoints"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The program on the PATH, no settings of the user's, and a hub of our own."""
    home = tmp_path_factory.mktemp("home")
    with Hub() as hub:
        hub.add("org/small", ROOT / "checkpoints" / "audioset-small")
        monkeypatch.setenv("PATH", str(Path(sys.executable).parent), prepend=":")
        monkeypatch.setenv("XDG_CONFIG_HOME", str(home))
        monkeypatch.setenv("DIFFRES_DATA", str(home / "data"))
        monkeypatch.delenv("HF_TOKEN", raising=False)
        for name, value in settings(hub, home / "hub").items():
            monkeypatch.setenv(name, value)
        yield


@pytest.mark.parametrize("line", shell_lines())
@pytest.mark.usefixtures("environment")
def test_shell_lines_work(line: str, workplace: Path) -> None:
    done = subprocess.run(["sh", "-c", line], cwd=workplace, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("block", blocks("console"))
@pytest.mark.usefixtures("environment")
def test_console_sessions_print_what_is_shown(block: str, workplace: Path) -> None:
    for session in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, shown = session.split("\n", 1)
        done = subprocess.run(
            ["sh", "-c", command], cwd=workplace, stdout=PIPE, stderr=STDOUT, text=True, check=True
        )

        assert is_as_shown(done.stdout, shown), done.stdout


@pytest.mark.parametrize("block", blocks("python"))
def test_python_blocks_run(block: str, workplace: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=workplace, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_the_map_is_the_packages_own() -> None:
    docstring = diffres_cli.__doc__ or ""
    start, end = docstring.index("    errors.py"), docstring.index("Importing this package")
    the_map = textwrap.dedent(docstring[start:end]).rstrip()

    assert the_map in (ROOT / "CONTRIBUTING.md").read_text("utf-8")


def test_links_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
