"""Text files that users give: whatever editors, spreadsheets and PowerShell make of them is read."""

import codecs
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from audio_files import noise, write
from command import invoke, spawn

from diffres_cli.audio import paths_from
from diffres_cli.checkpoint.card import ModelCard
from diffres_cli.cli.export import _text
from diffres_cli.comparison.plan import read_plan, shipped_plans
from diffres_cli.config import read_file
from diffres_cli.datasets.clip import Dataset
from diffres_cli.datasets.lists import read_columns, read_lines
from diffres_cli.errors import DiffresError
from diffres_cli.evaluation.labelmap import read_map
from diffres_cli.recipes.files import RECIPES, read_recipe
from diffres_cli.tagging.labels import read_names
from diffres_cli.tagging.tagger import load_tagger
from diffres_cli.text import lines_of

ENCODINGS = {
    "UTF-8": str.encode,
    "UTF-8 with a mark": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16 LE": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16 BE": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
}


def _map(path: Path) -> Any:
    card: ModelCard = load_tagger().card
    names = ("Café", "Regen")
    dataset = Dataset("d", path.parent, names, names, True, 1.0, "", "", clips=())
    return read_map(path, card, dataset)


def _settings(path: Path) -> Any:
    return read_file(path, {"tag": ["fps", "labels"]})


def _plan(path: Path) -> Any:
    return read_plan(str(path))[0].title


READERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "--files-from": ("été.wav\nb.wav\n", paths_from),
    "--labels": ("Dog\nSiren\n", read_names),
    "--map": ("label,model_label\nCafé,Dog\nRegen,Rain\n", _map),
    "--notes": ("Trained on cafés.\nAnd rain.\n", _text),
    "diffres.toml": ('# café\nfps = 25\n[tag]\nlabels = "x"\n', _settings),
    "table": ("path,labels\né.wav,café\n", lambda path: list(read_columns(path, "path", "labels"))),
    "list": ("é.wav\nb.wav\n", lambda path: list(read_lines(path))),
    "plan": (next(iter(shipped_plans().values())).read_text("utf-8"), _plan),
    "recipe": ((RECIPES / "esc50.toml").read_text("utf-8"), read_recipe),
}  # fmt: skip


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
@pytest.mark.parametrize("name", READERS)
def test_every_encoding_and_line_end_says_the_same(tmp_path: Path, name: str, encode: Any) -> None:
    text, read = READERS[name]
    path = tmp_path / "given"
    path.write_bytes(text.encode())
    plain = read(path)
    assert plain
    for line_end in ("\n", "\r\n"):
        path.write_bytes(encode(text.replace("\n", line_end)))
        assert read(path) == plain


@pytest.mark.parametrize("name", READERS)
def test_what_is_not_text_is_refused_and_named(tmp_path: Path, name: str) -> None:
    text, read = READERS[name]
    path = tmp_path / "given"
    utf_32 = codecs.BOM_UTF32_LE + text.encode("utf-32-le")  # begins as UTF-16 does
    for data in (text.encode("utf-16-le"), text.encode("utf-16-be"), codecs.BOM_UTF16_LE + b"odd", utf_32):
        path.write_bytes(data)
        with pytest.raises(DiffresError, match=r"given.*save it as UTF-8"):
            read(path)


def test_lines_keep_their_ends_as_csv_needs_them(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b'a,"b\r\nc"\rd\n')
    assert list(lines_of(tmp_path / "t.csv")) == ['a,"b\r\n', 'c"\r', "d\n"]


@pytest.mark.parametrize("encode", ENCODINGS.values(), ids=ENCODINGS)
def test_a_list_tags_what_it_names_and_nothing_else(tmp_path: Path, encode: Any) -> None:
    for name in ("first.wav", "second.wav", "unlisted.wav"):
        write(tmp_path / name, noise(0.2))
    listed = encode("first.wav\r\nsecond.wav\r\n")
    (tmp_path / "list.txt").write_bytes(listed)
    command = ("tag", "-f", "csv", "--files-from")
    result = spawn(*command, "list.txt", cwd=tmp_path)
    assert (result.code, result.err) == (0, "")
    rows = {line.partition(",")[0] for line in result.out.splitlines()[1:]}
    assert rows == {"first.wav", "second.wav"}
    assert spawn(*command, "-", cwd=tmp_path, input=listed) == result


def test_a_list_in_utf_16_without_a_mark_tags_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "unlisted.wav", noise(0.2))
    Path("list.txt").write_bytes("first.wav\r\n".encode("utf-16-le"))
    result = invoke("tag", "--files-from", "list.txt")
    assert (result.code, result.out) == (2, "")
    assert "list.txt: not a list of paths: every other byte is NUL" in result.complaint


def test_a_line_without_end_is_refused(tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("Siren\n" + "x" * 2**21)
    with pytest.raises(ValueError, match="line 2 is 1,048,576 characters"):
        list(lines_of(tmp_path / "labels.txt"))
