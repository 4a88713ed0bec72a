"""The command line as `memoryctl` reads it: the verbs by chapter, the options of all of them, and their manuals."""

import argparse
import sys
from importlib import import_module
from typing import Any, NoReturn, cast

from enhanced_memory.client.cli.declare import VERBS, Argument, Call, Verb, argument
from enhanced_memory.client.cli.exits import MEANINGS, Usage

__all__ = ["CHAPTERS", "every_name", "find_verb", "manual", "read", "verb_parser"]

CHAPTERS: dict[str, tuple[str, ...]] = {
    "looking": ("status", "show", "history", "access"),
    "finding": ("search", "list", "messages"),
    "recalling": ("context", "related", "path"),
    "remembering": ("extract", "summarize"),
    "writing": ("add", "forget", "restore", "purge", "rename", "tag", "untag", "relate", "unrelate", "spaces"),
    "versions": ("log", "diff", "revert", "commit", "snapshots", "journal", "undo", "redo"),
    "conflicts": ("conflicts",),
    "curating": ("curate",),
    "tiers": ("promote", "expire"),
    "sessions": ("sessions",),
    "cold": ("cold", "vacuum"),
    "branching": ("branch",),
    "importing": ("import",),
    "exporting": ("export",),
    "keeping": ("backup", "backups", "salvage"),
    "migrating": ("migrate",),
    "watching": ("health", "metrics", "top"),
    "service": ("verify", "reindex", "stop"),
    "services": ("install-service", "uninstall-service"),
    "installing": ("install", "uninstall"),
    "configured": ("clients",),
    "hooks": ("hook",),
    "configuration": ("config",),
    "doctor": ("doctor",),
    "running": ("run",),
    "manual": ("help",),
}
"""The verbs by chapter, so that only the chapter of the verb that is used has to be imported."""

GLOBAL: tuple[Argument, ...] = (
    argument("--json", action="store_true", help="print the answer as one JSON document"),
    argument("--store", metavar="FILE", help="the store (default: the setting)"),
    argument("--socket", metavar="PATH", help="the daemon's socket (default: the setting)"),
    argument("--space", metavar="NAME", help="the space to work in; auto: the project's own"),
    argument("--agent", metavar="NAME", help="who asks; kept with every change"),
    argument("--timeout", metavar="SECONDS", type=float, help="how long to wait for an answer"),
    argument("--no-start", action="store_true", help="do not start a daemon where none runs"),
)


def read(argv: list[str]) -> tuple[Call, Verb]:
    """The verb that `argv` names, and the call of it. Options may stand anywhere."""
    at = _place_of_verb(argv)
    given = _top_parser().parse_args(argv[: at + 1])
    name: str = given.verb
    verb = find_verb(name)
    if verb is None:
        from difflib import get_close_matches

        near = get_close_matches(name, every_name(), 1)
        raise Usage(f"there is no verb {name!r}", f"did you mean {near[0]}?" if near else "see `memoryctl --help`")
    return Call(_parse(verb, argv[at + 1 :], given)), verb


def _place_of_verb(argv: list[str]) -> int:
    """Where the first word stands that is neither an option nor an option's value; behind the end if there is none."""
    valued = {each.names[0] for each in GLOBAL if "metavar" in each.options}
    at = 0
    while at < len(argv) and argv[at].startswith("-"):
        at += 2 if argv[at] in valued else 1
    return at


def _parse(verb: Verb, words: list[str], given: argparse.Namespace) -> argparse.Namespace:
    """Options first, wherever they stand; what is left, and everything behind `--`, are the verb's words.

    `parse_intermixed_args` would do, but loses the `--`.
    """
    end = words.index("--") if "--" in words else len(words)
    options, places = _parser(verb, options=True, places=False), _parser(verb, options=False, places=True)
    given, left = options.parse_known_args(words[:end], given)
    for word in left:
        if word.startswith("-") and word != "-":
            options.error(f"unknown option {word}")
    return places.parse_args([*left, *words[end + 1 :]], given)


class Parser(argparse.ArgumentParser):
    """A parser that says what is wrong with `Usage`, as every other error here is told."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        verb = self.prog.partition(" ")[2]
        raise Usage(message, f"see `memoryctl {verb + ' ' if verb else ''}--help`")


def every_name() -> list[str]:
    """The names of all verbs, in the order of the manual."""
    return [name for names in CHAPTERS.values() for name in names]


def find_verb(name: str) -> Verb | None:
    """The verb of that name, its chapter imported."""
    for chapter, names in CHAPTERS.items():
        if name in names:
            import_module(f"enhanced_memory.client.cli.{chapter}")
            return VERBS[name]
    return None


def manual() -> str:
    """What `memoryctl --help` prints."""
    parser = _top_parser()
    parser.epilog = _epilog()
    return parser.format_help()


def _top_parser() -> Parser:
    parser = Parser(
        prog="memoryctl",
        usage="memoryctl [OPTION…] VERB …",
        description="Look into the memory, change it, copy it, and look after it.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    _add_global(parser)
    parser.add_argument("-h", "--help", action=_Manual, nargs=0, help="show this manual")
    parser.add_argument("--version", action=_Version, nargs=0, help="show the version")
    parser.add_argument("verb", metavar="VERB", help="what to do: see below, and `memoryctl VERB --help`")
    return parser


def verb_parser(verb: Verb) -> argparse.ArgumentParser:
    """The parser that knows all of what stands behind `verb`, for its manual."""
    return _parser(verb, options=True, places=True)


def _parser(verb: Verb, *, options: bool, places: bool) -> Parser:
    parser = Parser(
        prog=f"memoryctl {verb.name}",
        description=f"{verb.says}\n\n{verb.more}".strip(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        add_help=False,
        prefix_chars="-" if options else "\0",  # without options, a dash is a letter like any other
    )
    for each in verb.arguments:
        if options if each.names[0].startswith("-") else places:
            each.add_to(parser)
    if options:
        parser.add_argument("-h", "--help", action=_VerbManual, nargs=0, const=verb, help="show this manual")
        _add_global(parser.add_argument_group("options of every verb"))
    return parser


def _add_global(parser: Any) -> None:
    # Suppressed defaults: what stands before the verb is not undone by what does not stand behind it.
    for each in GLOBAL:
        parser.add_argument(*each.names, **{**each.options, "default": argparse.SUPPRESS})


def _epilog() -> str:
    lines = ["verbs:"]
    for name in every_name():
        verb = find_verb(name)
        lines.append(f"  {name:10} {verb.says if verb else ''}")
    lines += ["", "exit codes:", *(f"  {code}  {meaning}" for code, meaning in MEANINGS.items())]
    lines += ["", "An entity is given by name, or by id as '#12' or id:12 (a bare # starts a comment in a shell)."]
    lines += ["`memoryctl help OPERATION` explains an operation of the protocol. Settings: `memoryctl config`."]
    return "\n".join(lines)


class _Manual(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *more: Any) -> NoReturn:
        del parser, more
        sys.stdout.write(manual())
        raise SystemExit(0)


class _VerbManual(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *more: Any) -> NoReturn:
        del parser, more
        sys.stdout.write(verb_parser(cast(Verb, self.const)).format_help())
        raise SystemExit(0)


class _Version(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *more: Any) -> NoReturn:
        del parser, more
        from importlib.metadata import version

        sys.stdout.write(f"memoryctl {version('enhanced-memory')}\n")
        raise SystemExit(0)
