"""What was typed as the files to read."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

import pytest
from audio_files import python

from diffres_cli.audio import find_files, open_recording, paths_from
from diffres_cli.errors import AudioError, UsageError


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def lay(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_bytes(b"")


def found(*inputs: str, recursive: bool = False) -> list[str]:
    """Paths as they are, errors in angle brackets."""
    results = find_files(inputs, recursive)
    return [f"<{result}>" if isinstance(result, AudioError) else str(result) for result in results]


def test_files_are_taken_as_given_whatever_they_are_called() -> None:
    lay("b.wav", "a.txt", "c", "[x].wav")
    assert found("b.wav", "a.txt", "c", "[x].wav") == ["b.wav", "a.txt", "c", "[x].wav"]


def test_a_folder_gives_the_media_inside_it_sorted() -> None:
    lay(
        "d/b.WAV",
        "d/a.mp3",
        "d/film.mkv",
        "d/notes.txt",
        "d/noext",
        "d/.hidden.wav",
        "d/main.ts",
        "d/sub/e.wav",
    )
    assert found("d") == ["d/a.mp3", "d/b.WAV", "d/film.mkv"]
    assert found("d/") == found("d")
    assert found("d", recursive=True) == ["d/a.mp3", "d/b.WAV", "d/film.mkv", "d/sub/e.wav"]


def test_hidden_files_and_folders_are_left_out_unless_named() -> None:
    lay("d/a.wav", "d/.b.wav", "d/.trash/b.wav")
    assert found("d", recursive=True) == ["d/a.wav"]
    assert found("d/*.wav", "d/*/*.wav") == ["d/a.wav", "<d/*/*.wav: no file matches this pattern>"]
    assert found("d/.*.wav", "d/.trash") == ["d/.b.wav", "d/.trash/b.wav"]


def test_patterns_are_expanded_and_sorted() -> None:
    lay("d/b.wav", "d/a.wav", "d/a.txt", "d/sub/c.wav", "e/f.wav")
    assert found("d/*.wav") == ["d/a.wav", "d/b.wav"]
    assert found("**/*.wav") == ["d/a.wav", "d/b.wav", "d/sub/c.wav", "e/f.wav"]
    assert found("[d-e]/?.wav") == ["d/a.wav", "d/b.wav", "e/f.wav"]
    assert found("?") == ["d/a.wav", "d/b.wav", "e/f.wav"]
    assert len(found("**x.wav")) == 1  # Python refuses it before 3.13
    assert found(str(Path("d/*.wav").absolute())) == [str(Path(f"d/{name}.wav").absolute()) for name in "ab"]


def test_nothing_is_given_twice() -> None:
    lay("d/a.wav", "d/b.wav")
    assert found("d/b.wav", "d", "./d/a.wav", "d/*.wav", str(Path("d/a.wav").absolute()), "-", "-") == [
        *["d/b.wav", "d/a.wav", "-"],
    ]


def test_a_linked_file_is_a_recording_and_a_linked_folder_is_walked_once() -> None:
    lay("d/a.wav", "e/b.wav")
    Path("d/c.wav").symlink_to("a.wav")
    Path("d/again").symlink_to(".")
    Path("d/up").symlink_to("..")
    Path("d/e").symlink_to("../e")
    assert found("d", recursive=True) == ["d/a.wav", "d/c.wav", "d/e/b.wav"]
    assert found("d/**/*.wav") == [
        "d/a.wav",
        "d/c.wav",
    ]  # like the shell's: links to folders are not followed


def test_what_a_folder_holds_under_a_media_name_is_left_to_be_reported() -> None:
    lay("d/a.wav")
    Path("d/lost.wav").symlink_to("gone")
    os.mkfifo("d/pipe.wav")
    assert found("d") == ["d/a.wav", "d/lost.wav", "d/pipe.wav"]


def test_an_input_that_comes_to_nothing_costs_only_itself() -> None:
    lay("a.wav", "z.wav")
    (loop := Path("loop")).symlink_to("loop")
    assert found("a.wav", "gone.wav", "gone/", "g*.wav", "", "a.wav/b", "a\0b", "z.wav") == [
        "a.wav",
        "<gone.wav: no such file or folder>",
        "<gone/: no such file or folder>",
        "<g*.wav: no file matches this pattern>",
        "<'': not a possible file name>",
        "<a.wav/b: cannot be opened (Not a directory)>",
        r"<a\x00b: not a possible file name>",
        "z.wav",
    ]
    assert found(str(loop))[0].startswith("<loop: cannot be opened (")


def test_a_folder_without_audio_says_what_it_holds_and_where_there_is_some() -> None:
    lay("d/a.txt", "d/b.txt", "d/sub/sub/c.wav", "e/a.txt", "e/f/b.txt")
    Path("empty").mkdir()
    (line,) = found("d")
    assert line.startswith("<d: no audio in this folder (2 other files in it); its sub-folders hold some")
    assert line.endswith("with recursive=True>")
    assert found("d", recursive=True) == ["d/sub/sub/c.wav"]
    assert found("e") == ["<e: no audio in this folder (1 other file in it)>"]
    assert found("e", recursive=True) == [
        "<e: no audio in this folder (2 other files in it and the folders below)>"
    ]
    assert found("empty") == ["<empty: no audio in this folder (0 other files in it)>"]


def test_a_folder_that_leads_back_to_itself_is_read_once() -> None:
    lay("d/notes.txt", "d/sub/more.txt")
    for link, target in (("d/loop", "."), ("d/self", "self")):
        Path(link).symlink_to(target)
    # Each file counts once, and the link that leads nowhere; followed round and round they would be dozens.
    assert found("d", recursive=True) == [
        "<d: no audio in this folder (3 other files in it and the folders below)>"
    ]


def test_a_folder_one_may_not_list_is_reported(here: Path) -> None:
    lay("d/a.wav", "d/closed/b.wav")
    for folder in (here, here.parent, here.parent.parent):
        folder.chmod(0o755)
    Path("d/closed").chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        assert found("d", recursive=True) == ["d/a.wav", "<d/closed: cannot be listed (Permission denied)>"]
        assert found("d/closed") == ["<d/closed: cannot be listed (Permission denied)>"]
        assert found("d/closed/b.wav") == ["<d/closed/b.wav: no permission to read it>"]
    finally:
        os.seteuid(user)
        Path("d/closed").chmod(0o755)


def test_standard_input_is_not_a_file_called_dash() -> None:
    lay("-")
    assert found("-") == ["-"]
    assert found("./-") == [str(Path("-").absolute())]


@pytest.mark.parametrize(("stored", "listed"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_accents_may_be_stored_in_another_form_than_they_are_listed_in(stored: str, listed: str) -> None:
    def in_form(form: str) -> list[str]:
        return [unicodedata.normalize(form, name) for name in ("ä/é.wav", "ä/日本ば.wav", "ä/f")]

    there, asked = in_form(stored), in_form(listed)
    lay(*there[:2], f"{there[2]}/a.ogg")
    assert found(*asked) == [*there[:2], f"{there[2]}/a.ogg"]
    assert found(unicodedata.normalize(listed, "ä/é*")) == [there[0]]
    assert found(unicodedata.normalize(listed, "ä/ü.wav"))[0].startswith("<")
    with pytest.raises(AudioError, match="the file is empty"):
        open_recording(asked[1])
    lay(asked[0])  # both forms: each is itself
    assert found(asked[0], there[0]) == [asked[0], there[0]]


def test_a_list_of_paths() -> None:
    Path("list").write_bytes(b"a.wav\r\n\n  \n  b c.wav \ncaf\xe9.wav\n\xc3\xa9.wav")
    assert paths_from("list") == ["a.wav", "  b c.wav ", "caf\udce9.wav", "é.wav"]
    Path("list0").write_bytes(b"a\nb.wav\0c.wav\0")
    assert paths_from(Path("list0")) == ["a\nb.wav", "c.wav"]
    code = "from diffres_cli.audio import paths_from; print(paths_from('-'))"
    assert python(code, input=b"a.wav\nb.wav\n").stdout == b"['a.wav', 'b.wav']\n"


@pytest.mark.parametrize(("name", "reason"), [("gone", "No such file or directory"), (".", "Is a directory")])
def test_a_list_that_cannot_be_read(name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=rf"the list cannot be read \({reason}\)"):
        paths_from(name)
