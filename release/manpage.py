"""Write the manual page queuetick(1), made of the parser's own words, to stdout."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator

from queuetick import __version__
from queuetick.cli.main import parser

FILES = (
    ("./config.toml, /etc/queuetick/config.toml", "the configuration; the first that exists is read"),
    (".env beside the configuration", "GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET and other variables"),
    ("/etc/queuetick/credentials/", "genesys_client_id and genesys_client_secret, for the systemd unit"),
)

ENVIRONMENT = (
    ("GENESYS_CLIENT_ID, GENESYS_CLIENT_SECRET", "the OAuth client"),
    ("GENESYS_REGION, GENESYS_API_URL, GENESYS_LOGIN_URL", "where the API is; they override the file"),
    ("QUEUETICK_ORG", "name of the organisation in every line"),
    ("HTTPS_PROXY, NO_PROXY", "the proxy, and the hosts that are reached without it"),
    ("CREDENTIALS_DIRECTORY", "set by systemd: the directory with the credentials"),
    ("NO_COLOR", "no colours"),
)


def page() -> str:
    """The page as troff source for man(7)."""
    whole = parser()
    commands = next(action for action in whole._actions if isinstance(action, argparse._SubParsersAction))
    lines = [
        f'.TH QUEUETICK 1 "" "queuetick {__version__}" "User Commands"',
        *(".SH NAME", f"queuetick \\- {_text(whole.description or '')}"),
        *(".SH SYNOPSIS", ".B queuetick", ".I COMMAND", "[options]"),
        ".SH DESCRIPTION",
        "Each queue becomes one line of JSON a cycle on stdout. The commands:",
        *_commands(commands),
        ".SH FILES",
        *_terms(FILES),
        ".SH ENVIRONMENT",
        *_terms(ENVIRONMENT),
        *(".SH SEE ALSO", ".BR journalctl (1),", ".BR systemd.exec (5)"),
    ]
    return "\n".join(lines) + "\n"


def _commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> Iterator[str]:
    for name, each in commands.choices.items():
        yield from (f".SS queuetick {name}", _text(_sentence(each.description or "")))
        usage = re.sub(r"\s+", " ", each.format_usage().removeprefix("usage: ")).strip()
        yield from (".PP", f".B {_text(usage)}")
        for action in each._actions:
            if action.dest != "help":
                yield from (".TP", f".B {_text(_invocation(action))}", _text(_help(each, action)))
        if each.epilog:
            yield from (".PP", ".nf", *(_text(line) for line in each.epilog.rstrip().splitlines()), ".fi")


def _invocation(action: argparse.Action) -> str:
    if not action.option_strings:
        return str(action.metavar or action.dest)
    value = "" if action.nargs == 0 else f" {action.metavar or action.dest.upper()}"
    if action.choices and not action.metavar:
        value = " " + "|".join(str(choice) for choice in action.choices)
    return ", ".join(f"{option}{value}" for option in action.option_strings)


def _help(each: argparse.ArgumentParser, action: argparse.Action) -> str:
    return each._get_formatter()._expand_help(action) if action.help else ""


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def _terms(pairs: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for term, words in pairs:
        yield from (".TP", f".B {_text(term)}", _text(words))


def _text(words: str) -> str:
    """`words` as troff writes them: literal backslashes and dashes, and no control line at the start."""
    escaped = words.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


if __name__ == "__main__":
    sys.stdout.write(page())
