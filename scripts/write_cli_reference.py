"""Write docs/cli.md, the reference of the command line, from the program itself.

python scripts/write_cli_reference.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from diffres_cli.cli.main import app

PAGE = Path(__file__).resolve().parent.parent / "docs" / "cli.md"
TOP = """\
# The command line

Written by `python scripts/write_cli_reference.py`; a test fails when it no longer says what the program does.

```
{tree}
```

`-h` or `--help` explains each. Options can stand before or after the arguments; `--` ends them, for names
that begin with a dash. Results go to standard output, and everything else to standard error, one line each.

## Exit codes

| code | |
|---|---|
| 0 | all done |
| 1 | some inputs failed; they are listed at the end |
| 2 | the command, a variable or diffres.toml is not right; nothing was done |
| 3 | nothing succeeded |
| 130 | interrupted (Ctrl-C) |
| 141 | the output pipe was closed (SIGPIPE) |
| 143 | terminated (SIGTERM) |

## Settings

An option with a variable can be set in three ways. A flag counts first, then the variable, then the file
`diffres.toml`, then the default; wherever a value comes from, it is checked in the same way and a mistake is
named with its origin. `diffres config` shows what holds.

```toml
fps = 25                     # for every command that has the option
labels = "birds.txt"         # a path starts from the file's folder
events = true                # --no-events and DIFFRES_EVENTS=0 turn it off again

[viz]                        # for one command
width = 7
```

The file is the one that `DIFFRES_CONFIG` names. Without it the nearest `diffres.toml` in the working
directory and the folders above it counts, and then your own, in the user's configuration folder
(`~/.config/diffres` on Linux).

A file that was found on the way up may have come with the data, from anybody. So a line on standard error
names it when it sets anything, and it cannot set what reaches another machine or runs other code:
`engine`, `ray-address`, a `model` on a hub, `offline = false`, a `format` by import path. Those take an
option, a variable or your own file. A file that belongs to another user, root excepted, is ignored;
`DIFFRES_CONFIG` can name it.

A name that is no setting is refused. An empty variable counts as unset. Models on a hub obey the
`HF_*` variables as well: see [models.md](models.md).

## Completion

`diffres --install-completion` teaches bash, zsh, fish or PowerShell to complete commands and options;
`diffres --show-completion` prints what it would install.
"""


def main() -> None:
    PAGE.write_text(reference(), "utf-8")


def reference() -> str:
    """The page."""
    found = list(commands(typer.main.get_command(app), None, "diffres"))
    width = max(len(context.command_path) for _, context in found)
    tree = "\n".join(
        f"{context.command_path:<{width}}  {command.get_short_help_str(100)}" for command, context in found
    )
    return "\n".join([TOP.format(tree=tree), *(section(command, context) for command, context in found)])


def commands(command: Any, parent: Any, name: str) -> Iterator[tuple[Any, Any]]:
    """A command and those below it, each with a context that no variable and no file has touched."""
    context = command.context_class(command, info_name=name, parent=parent)
    yield command, context
    for below, each in getattr(command, "commands", {}).items():
        yield from commands(each, context, below)


def section(command: Any, context: Any) -> str:
    """A command: what it does, its arguments, its options."""
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    parts = [f"## {context.command_path}", f"```\n{usage}\n```", prose(command.help)]
    arguments = [each for each in command.params if each.param_type_name == "argument"]
    options = [each for each in command.params if each.param_type_name == "option"]
    if arguments:
        rows = [f"| `{each.make_metavar(ctx=context)}` | {cell(each.help)} |" for each in arguments]
        parts.append("\n".join(["| argument | |", "|---|---|", *rows]))
    if options:
        rows = [f"| {' | '.join(row(each, context))} |" for each in options]
        parts.append("\n".join(["| option | | default | variable |", "|---|---|---|---|", *rows]))
    return "\n\n".join(parts) + "\n"


def prose(text: str) -> str:
    """A command's help in Markdown: a paragraph that keeps its line breaks (\\b) becomes code."""
    blocks = text.strip().split("\n\n")
    return "\n\n".join(f"```\n{each[2:]}\n```" if each.startswith("\b\n") else each for each in blocks)


def row(option: Any, context: Any) -> tuple[str, str, str, str]:
    """All spellings of an option, what it does, its default, and the variable that sets it."""
    metavar = "" if option.is_flag else f" {option.make_metavar(ctx=context)}"
    *short, last = sorted(option.opts, key=len) + option.secondary_opts
    names = [*short, last + metavar]
    text, _, stated = option.help.partition(" [default: ")
    variable = f"`{option.envvar}`" if option.envvar else ""
    return (
        cell(", ".join(f"`{name}`" for name in names)),
        cell(text),
        stated.rstrip("]") or default(option),
        variable,
    )


def default(option: Any) -> str:
    """The default, as it would be typed."""
    if option.required:
        return "required"
    if option.is_flag:
        return "on" if option.default else "off"
    return "" if option.default is None else f"`{option.default}`"


def cell(text: str | None) -> str:
    return (text or "").replace("|", "\\|")


if __name__ == "__main__":
    main()
