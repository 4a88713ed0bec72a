"""How a verb is declared: a name, a line of help, its arguments, and a function from a call to an answer.

@verb("forget", "Delete entities; `restore` brings them back.", REFS, argument("--message"))
def forget(call: Call) -> Answer: ...
"""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from enhanced_memory.client.cli.arguments import instant, ref, since
from enhanced_memory.client.cli.output import Paper, warn
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.sync import Memory
from enhanced_memory.client.values import Ref

__all__ = [
    "BY_NAME",
    "DETAILS",
    "LONG_S",
    "MOMENT",
    "REFS",
    "TIERS",
    "VERBS",
    "Answer",
    "Argument",
    "Call",
    "Verb",
    "argument",
    "verb",
]

TIERS = ("working", "episodic", "semantic", "procedural")
LONG_S = 6 * 3600.0
"""How long a copy or a check of the whole store may take."""


@dataclass(frozen=True)
class Answer:
    """What a verb found or did: the value for programs, and how it is told to a person."""

    value: Any
    tell: Callable[[Paper], None]
    code: int = 0
    to_stderr: bool = False
    """Whether a person is told on stderr, because stdout carries data."""


@dataclass(frozen=True)
class Argument:
    """One argument, as `argparse` takes it."""

    names: tuple[str, ...]
    options: dict[str, Any]

    def add_to(self, parser: argparse.ArgumentParser) -> None:
        """Make `parser` know this argument."""
        parser.add_argument(*self.names, **self.options)


class Call:
    """One use of a verb: what was given, the settings, and a client that connects when first used."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.given = given
        self._opened = False

    @property
    def overrides(self) -> dict[str, Any]:
        """The settings that the command line gives."""
        said: dict[str, Any] = {name: getattr(self.given, name, None) for name in ("store", "socket", "space", "agent")}
        said["timeout_s"] = getattr(self.given, "timeout", None)
        if getattr(self.given, "no_start", False):
            said["autostart"] = False
        return {name: value for name, value in said.items() if value is not None}

    @cached_property
    def settings(self) -> Settings:
        """The settings of this call. `Invalid` where the file or the environment holds a wrong one."""
        return Settings.load(self.overrides)

    @cached_property
    def memory(self) -> Memory:
        """The client, closed when the verb is done."""
        self._opened = True
        return Memory(self.settings, client="memoryctl", on_ignored=_warn_of_ignored)

    def refs(self, texts: list[str]) -> list[Ref]:
        """`texts` as entities: `#12` and `id:12` are ids unless `--by-name` was given."""
        return [ref(text, by_name=getattr(self.given, "by_name", False)) for text in texts]

    def ref(self, text: str) -> Ref:
        """`text` as one entity."""
        return self.refs([text])[0]

    def close(self) -> None:
        """End the connection, if there is one."""
        if self._opened:
            self.memory.close()


def _warn_of_ignored(op: str, ignored: list[str]) -> None:
    warn(f"the daemon does not know {', '.join(ignored)} of {op}; it may be of another version")


@dataclass(frozen=True)
class Verb:
    """A verb of the command line."""

    name: str
    says: str
    arguments: tuple[Argument, ...]
    run: Callable[[Call], Answer]
    chapter: str
    more: str


VERBS: dict[str, Verb] = {}
"""The verbs whose chapter has been imported."""


def argument(*names: str, **options: Any) -> Argument:
    """An argument, with what `argparse.add_argument` takes."""
    return Argument(names, options)


BY_NAME = argument("--by-name", action="store_true", help="take names as they stand: '#12' is a name, not an id")
DETAILS = argument("--details", action="store_true", help="with the provenance of every observation")
MOMENT = (
    argument("--at", type=instant, metavar="WHEN", help="as it was known: a change's number, a time, or a snapshot"),
    argument("--valid-at", type=since, metavar="TIME", help="observations that were true then"),
)
REFS = argument("names", nargs="+", metavar="NAME", help="an entity by name, or by id as '#12' or id:12")


def verb(name: str, says: str, *arguments: Argument) -> Callable[[Callable[[Call], Answer]], Callable[[Call], Answer]]:
    """Declare the function below as the verb `name`; its docstring is what `--help` adds to `says`."""

    def declared(run: Callable[[Call], Answer]) -> Callable[[Call], Answer]:
        if name in VERBS:
            raise TypeError(f"the verb {name} is declared twice")
        chapter = run.__module__.rpartition(".")[2]
        VERBS[name] = Verb(name, says, arguments, run, chapter, (run.__doc__ or "").strip())
        return run

    return declared
