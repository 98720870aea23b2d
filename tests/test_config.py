"""Settings from diffres.toml and DIFFRES_* variables: precedence, validation, what is said of mistakes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from command import EXAMPLES, PROGRAM, invoke
from repository import loaded_by

from diffres_cli.cli.config import settings_of
from diffres_cli.cli.main import app
from diffres_cli.config import variable

SIREN = EXAMPLES / "siren.ogg"


pytestmark = pytest.mark.usefixtures("user_folder")


def write(text: str, folder: Path | None = None) -> Path:
    path = (folder or Path.cwd()) / "diffres.toml"
    path.write_text(text, "utf-8")
    return path


def effective(*command: str) -> dict[str, list[str]]:
    """What `diffres config` shows: setting -> [value, from]."""
    result = invoke("config", *command)
    assert (result.code, result.err) == (0, "")
    _, _, _, *rows = result.out.splitlines()
    return {row.split()[0]: row.split(maxsplit=2)[1:] for row in rows}


def refused(*arguments: str | Path) -> str:
    result = invoke(*(arguments or ("tag", SIREN)))
    assert (result.code, result.out) == (2, "")
    (complaint,) = (
        line for line in result.err.splitlines() if not line.startswith("diffres: settings from ")
    )
    return complaint.removeprefix("diffres: ")


def tagged(*arguments: str) -> dict:
    result = invoke("tag", SIREN, "-f", "jsonl", "-q", *arguments)
    assert (result.code, result.err) == (0, "")
    return json.loads(result.out)


def test_a_flag_beats_a_variable_beats_the_file_beats_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    path = write("top-k = 3\nfps = 20\nwindow = 4.5")
    monkeypatch.setenv("DIFFRES_FPS", "25")
    monkeypatch.setenv("DIFFRES_TOP_K", "2")
    settings = effective("tag", "-k", "1")
    assert settings["top-k"] == ["1", "flag"]
    assert settings["fps"] == ["25", "DIFFRES_FPS"]
    assert settings["window"] == ["4.5", str(path)]
    assert settings["overlap"] == ["0.0", "default"]
    record = tagged("-k", "1", "-c", "0")
    assert (record["fps"], len(record["labels"])) == (25.0, 1)
    assert [window["start"] for window in record["windows"]] == [0.0, 3.5]


def test_every_setting_holds_for_the_command_that_runs() -> None:
    write("fps = 25\ntop_k = 1\nmin-confidence = 0")
    record = tagged()
    assert (record["fps"], len(record["labels"]), record["min_confidence"]) == (25.0, 1, 0.0)


def test_a_table_holds_for_one_command() -> None:
    write("fps = 25\n[viz]\nfps = '25,100'\nwidth = 7")
    assert effective("tag")["fps"][0] == "25"
    assert effective("viz")["fps"][0] == "25,100"
    assert effective("viz")["width"][0] == "7.0"


def test_what_a_file_turns_on_a_variable_or_a_flag_turns_off(monkeypatch: pytest.MonkeyPatch) -> None:
    write("events = true\noffline = true")
    assert "events" in tagged()
    assert "events" not in tagged("--no-events")
    monkeypatch.setenv("DIFFRES_EVENTS", "0")
    assert "events" not in tagged()
    assert effective("models", "info")["offline"][0] == "true"


def test_the_nearest_file_counts_then_the_users(user_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def source() -> Path:
        return Path(effective()["top-k"][1])

    work = Path.cwd()
    users = write("top-k = 1", user_folder)
    assert source() == users
    above = write("top-k = 2")
    (work / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(work / "a" / "b")
    assert source() == above
    nearest = write("top-k = 3", work / "a")
    assert source() == nearest
    monkeypatch.setenv("DIFFRES_CONFIG", str(users))
    assert source() == users


def test_paths_in_a_file_start_from_it(monkeypatch: pytest.MonkeyPatch) -> None:
    work = Path.cwd()
    write("labels = 'emergency.txt'\nmodel = './mine'")
    (work / "emergency.txt").write_text("Siren\n")
    (work / "mine").symlink_to(EXAMPLES.parent / "checkpoints" / "audioset-small")
    (work / "below").mkdir()
    monkeypatch.chdir(work / "below")
    assert [label["label"] for label in tagged()["labels"]] == ["Siren"]


def test_the_format_of_a_file_yields_to_the_output_that_was_typed() -> None:
    write("format = 'csv'")
    assert invoke("tag", SIREN).out.startswith("file,")
    assert invoke("tag", SIREN, "-o", "tags.json").code == 0
    assert json.loads(Path("tags.json").read_text("utf-8"))


@pytest.mark.parametrize(
    ("name", "value", "complaint"),
    [
        ("FPS", "abc", "expected a number of frames per second, such as 25"),
        ("FPS", "0", "audioset-small serves 20 to 100 frames per second (default 50)"),
        ("TOP_K", "2.5", "'2.5' is not a valid int"),
        ("TOP_K", "0", "must be at least 1"),
        ("WINDOW", "0.490", "must be 0.5 to 3600 seconds"),
        ("OVERLAP", "20", "must be 0 to 99 % of the window (10 seconds)"),
        ("WINDOW", "1e9", "must be 0.5 to 3600 seconds"),
        ("DEVICE", "gpu", "choose auto, cpu, cuda"),
        ("LABELS", "no such", "No such file or directory"),
        ("FORMAT", "xml", "choose table, json"),
        ("MODEL", "nope", "unknown model 'nope'"),
    ],
)
def test_a_wrong_variable_is_refused_as_the_flag_is(
    name: str, value: str, complaint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    flag = refused("tag", SIREN, f"--{name.lower().replace('_', '-')}", value)
    assert complaint in flag
    monkeypatch.setenv(f"DIFFRES_{name}", value)
    assert refused().startswith(f"DIFFRES_{name}={value}: {complaint}")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('fps = "abc"', 'fps = "abc": expected a number of frames per second, such as 25'),
        ("[tag]\nfps = 7", "[tag] fps = 7: audioset-small serves 20 to 100 frames per second"),
        ("top-k = 2.5", "top-k = 2.5: '2.5' is not a valid int"),
        ("window = true", "window = true: 'true' is not a valid float"),
        ('events = "perhaps"', "events = \"perhaps\": 'perhaps' is not a valid boolean"),
        ("fps = [25]", "fps = [25]: expected text in quotes, a number, true or false"),
        ('labels = "nowhere"', 'labels = "nowhere": No such file or directory'),
        ('model = "nope"', "model = \"nope\": unknown model 'nope'"),
        ('format = "xml"', 'format = "xml": choose table, json'),
        ("fsp = 25", "fsp: no such setting; nearest: 'fps'"),
        ("zzz = 25", "zzz: no such setting; choose backend, channel"),
        ("output = 'x'", "output: no such setting; "),
        ("[vis]\nfps = 25", "[vis]: no such command with settings; nearest: 'viz'"),
        ("[viz]\ntop-kk = 4", "[viz] top-kk: no such setting; nearest: 'top-k'"),
        ("top-k = 1\ntop_k = 2", "top_k: given twice, with - and with _"),
        ("since = 2026-01-01", "since: no such setting; "),
        ("window = 07:32:00", "window = 07:32:00: expected text in quotes, a number, true or false"),
        ("[viz]\njobs = 4", "[viz] jobs: no such setting; choose"),
        ("fps 25", "not TOML: Expected '=' after a key in a key/value pair (at line 1, column 5)"),
    ],
)
def test_a_mistake_in_a_file_is_named_with_the_file(text: str, complaint: str) -> None:
    write(text)
    assert refused().startswith(f"diffres.toml: {complaint}")


def test_a_file_that_is_no_text() -> None:
    Path("diffres.toml").write_bytes(b"fps = '\xff'")
    assert refused().startswith("diffres.toml: not TOML: ")


def test_a_file_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFRES_CONFIG", "nowhere.toml")
    assert refused() == "nowhere.toml: cannot be read: No such file or directory"


def test_of_several_rates_the_wrong_one_is_enough_to_find_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFRES_FPS", "25,fast")
    assert refused("viz", SIREN).startswith("DIFFRES_FPS=25,fast: expected a number of frames per second")


def test_a_misspelt_variable_is_named_and_a_strangers_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFRES_COLLEAGUES", "3")
    assert invoke("tag", SIREN).code == 0
    monkeypatch.setenv("DIFFRES_TOPK", "3")
    assert refused() == "DIFFRES_TOPK: no such setting; nearest: 'DIFFRES_TOP_K'"


def test_config_refuses_what_the_command_would(monkeypatch: pytest.MonkeyPatch) -> None:
    assert refused("config", "export").startswith("diffres config export: no command with settings; choose")
    assert refused("config", "tag", "--bogus").startswith("No such option: --bogus")
    monkeypatch.setenv("DIFFRES_TOP_K", "few")
    assert refused("config") == "DIFFRES_TOP_K=few: 'few' is not a valid int"


def test_options_for_elsewhere_are_refused_where_they_are_typed_only() -> None:
    on_events = "works on events: add --events"
    assert refused("tag", SIREN, "--merge-gap", "1") == f"--merge-gap {on_events}"
    assert refused("tag", SIREN, "--min-duration", "0") == f"--min-duration {on_events}"
    assert refused("tag", SIREN, "--shard", "1/2").startswith("--shard works on a folder of results")
    assert refused("tag", SIREN, "--jobs", "0") == "--jobs 0: must be at least 1"
    write("merge-gap = 1\nmin-duration = 0.5\njobs = 2")
    assert invoke("tag", SIREN).code == 0


def test_help_shows_the_default_that_holds() -> None:
    write("top-k = 7")
    assert "[default: 7]" in invoke("tag", "--help").out


@pytest.mark.parametrize("named", [False, True], ids=["user's", "named"])
def test_in_a_working_directory_that_is_gone(
    named: bool, user_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write("top-k = 3", user_folder)
    if named:
        monkeypatch.setenv("DIFFRES_CONFIG", str(path))
    leave = 'mkdir gone; cd gone; rmdir ../gone; exec "$@"'
    done = subprocess.run(["sh", "-c", leave, "sh", *PROGRAM, "config"], check=True, capture_output=True)
    assert done.stdout.decode().startswith(f"diffres tag, with {path}\n")


def test_without_a_file_nothing_is_loaded_to_read_one() -> None:
    code = "from diffres_cli.cli.main import run; run(['models', 'remove', 'audioset-small'])"
    assert loaded_by(code, {"tomllib", "tomli"}) == set()


def test_variables_are_named_after_their_options() -> None:
    group = typer.main.get_command(app)
    found = [item for command in group.commands.values() for item in settings_of(command).items()]  # type: ignore[attr-defined]
    assert len(found) >= 25
    assert all(parameter.envvar == variable(name) for name, parameter in found)


def test_shell_completion_works_in_bash() -> None:
    program = Path(sys.executable).with_name("diffres")
    script = """
        eval "$("$0" --show-completion)"; complete -p diffres
        COMP_WORDS=(diffres --vers) COMP_CWORD=1; _diffres_completion "$0"; echo "${COMPREPLY[@]}"
        COMP_WORDS=(diffres tag --merge) COMP_CWORD=2; _diffres_completion "$0"; echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(["bash", "-c", script, program], check=True, capture_output=True, text=True)
    known = "complete -o default -F _diffres_completion diffres\n"
    assert (done.stdout, done.stderr) == (f"{known}--version\n--merge-gap\n", "")
