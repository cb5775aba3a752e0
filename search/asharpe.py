"""The console script `asharpe`: one command line for all that the project does.

What a command takes, says and returns is its own module's; a module is imported when its command
runs, so that help and completion are quick.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import click

from search.commands import COMMANDS, Entry, commands
from trainable.cli.commands import INTERRUPTED, status_of
from trainable.cli.errors import UserError, look_up, unknown
from trainable.cli.started import by_script

NAME = "asharpe"
KEYS_SAID = "key=value as each command's own help says; --json where figures are printed."


EXAMPLES = (
    ("asharpe check prices.csv", "read and check data of your own"),
    ("asharpe search data.path=prices.csv", "search on them, space=conservative"),
    ("asharpe rank runs/NAME top=20", "what was found, and whether to believe it"),
    ("asharpe rank runs/NAME --json", "the same for a program"),
)
COMPLETION, ON_TAB = "completion", "_ASHARPE_COMPLETE"  # the variable that a shell asks by
SHELLS = {
    "bash": 'eval "$(asharpe completion bash)"      in ~/.bashrc',
    "zsh": 'eval "$(asharpe completion zsh)"       in ~/.zshrc, after compinit',
    "fish": "asharpe completion fish | source       in ~/.config/fish/config.fish",
}
COMPLETION_LINE = f"prints what your shell completes by: {', '.join(SHELLS)}"


def main(argv: Sequence[str]) -> int:
    """Runs one command; returns its exit status."""
    known = COMMANDS.items()
    names = {entry.started: (f"{NAME} {name}", entry.line) for name, entry in known}
    with by_script(names):
        return status_of(lambda: _start(list(argv) or ["--help"]))


def script() -> None:
    """Is what the console script runs."""
    sys.exit(main(sys.argv[1:]))


def _start(words: list[str]) -> int:
    if asked := os.environ.get(ON_TAB):
        from search.completion import completed

        click.echo(completed(asked.removesuffix("_complete"), group()), nl=False)
        return 0
    if words[0] == "help":  # `asharpe help rank`, too
        words = [*words[1:2], "--help"]
    try:
        done = group().main(words, prog_name=NAME, standalone_mode=False)
    except click.ClickException as error:
        raise UserError(f"{error.format_message()}; see {NAME} --help") from error
    except click.Abort:
        return INTERRUPTED
    return done if isinstance(done, int) else 0


class Commands(click.Group):
    """The group: commands by subject, with examples."""

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the help, at most 40 lines of 80 columns."""
        formatter.write(help_text())

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Returns name, command and the words after it; raises `UserError` for an unknown one."""
        name = args[0]
        if name not in self.commands:
            if ctx.resilient_parsing:  # on a TAB
                return name, click.Command(name), args[1:]
            if name.startswith("-"):
                raise unknown("option", name, ("--help", "--version"))
            if "=" in name:
                raise UserError(f"{name}: name a command first, such as {NAME} search {name}")
            raise unknown("command", name, self.commands)
        return super().resolve_command(ctx, args)


class ModuleCommand(click.Command):
    """A command whose module reads the words after its name, all of them."""

    def __init__(self, name: str, entry: Entry) -> None:
        super().__init__(name, short_help=entry.line, add_help_option=False)
        self.entry = entry

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Leaves the words as they are."""
        ctx.args = list(args)
        return []

    def invoke(self, ctx: click.Context) -> int:
        """Runs the module's `main`; returns the exit status."""
        return run_module(self.entry.module, ctx.args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Returns what may follow the words so far."""
        from search.completion import completions

        return completions(self.entry, ctx.args, incomplete)


class Completion(click.Command):
    """`asharpe completion SHELL`."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Leaves the words as they are."""
        ctx.args = list(args)
        return []

    def invoke(self, ctx: click.Context) -> int:
        """Prints the script of a shell; returns the exit status."""
        from search.completion import script_of

        wanted = ctx.args[:1]
        if not wanted or wanted[0] in ("--help", "-h", "help"):
            click.echo(f"usage: {NAME} {COMPLETION} SHELL\n")
            click.echo("Prints a script by which a shell completes on a TAB: commands, their keys,")
            click.echo("and values such as spaces, run folders and paths. Write")
            for line in SHELLS.values():
                click.echo(f"  {line}")
            return 0
        look_up(SHELLS, wanted[0], "shell")
        click.echo(script_of(wanted[0], ctx.find_root().command))
        return 0

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[Any]:
        """Returns the shells."""
        from click.shell_completion import CompletionItem

        return [CompletionItem(name) for name in SHELLS if name.startswith(incomplete)]


def group() -> click.Group:
    """Returns the command line as click has it."""
    made: list[click.Command] = [ModuleCommand(*each) for each in commands().items()]
    made.append(Completion(COMPLETION, short_help=COMPLETION_LINE, add_help_option=False))
    whole = Commands(
        NAME,
        commands={str(each.name): each for each in made},
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    return click.version_option(package_name=NAME, message="%(package)s %(version)s")(whole)


def run_module(module: str, words: Sequence[str]) -> int:
    """Runs the `main` of a module as `python -m` does; returns the exit status."""
    from search.session.process import run_process

    return run_process(lambda: _main_of(module, words))


def _main_of(module: str, words: Sequence[str]) -> int:
    command = import_module(module)
    return status_of(lambda: command.main(words), getattr(command, "KEPT", None))


def help_text() -> str:
    """Returns the help of the whole command line."""
    known = commands()
    lines = [f"usage: {NAME} COMMAND [key=value …]", "", KEYS_SAID]
    for title in dict.fromkeys(entry.group for entry in known.values()):
        lines += ["", title]
        lines += [
            f"  {name:<11}{entry.line}" for name, entry in known.items() if entry.group == title
        ]
    lines += ["", "Examples"]
    width = max(len(words) for words, _ in EXAMPLES) + 2
    lines += [f"  {words:<{width}}{said}" for words, said in EXAMPLES]
    lines += ["", f"{NAME} COMMAND --help says what it takes; {NAME} --version."]
    lines += [f"{NAME} {COMPLETION} SHELL {COMPLETION_LINE}."]
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    script()
