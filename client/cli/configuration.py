"""`memoryctl config`: every setting, what it is, and where that comes from."""

import os
import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import msgspec

from enhanced_memory.client.cli.declare import Answer, Call, argument, verb
from enhanced_memory.client.cli.output import Paper
from enhanced_memory.client.database_url import is_database, without_password
from enhanced_memory.client.errors import Invalid, NotFound
from enhanced_memory.client.settings import PREFIX, Settings, default_file

__all__ = ["Setting", "config_file", "settings_with_sources"]


@dataclass
class Setting:
    """One setting as it stands."""

    name: str
    value: Any
    source: str
    """`default`, the file's path, the variable's name, or the option's."""
    default: Any
    help: str


@dataclass
class Configuration:
    """All settings, and what follows from them."""

    settings: list[Setting]
    file: str
    """The file that is read; it need not exist."""
    store_path: str
    socket_path: str


def config_file() -> Path:
    """The settings file, whether it exists or not."""
    named = os.environ.get(PREFIX + "CONFIG")
    return Path(named).expanduser() if named else default_file(os.environ)


def settings_with_sources(call: Call) -> list[Setting]:
    """Every setting with its value and where it comes from."""
    settings = call.settings
    path = config_file()
    in_file: dict[str, Any] = tomllib.loads(path.read_text("utf-8")) if path.is_file() else {}
    given = call.overrides

    def source(name: str) -> str:
        variable = PREFIX + name.upper()
        if name in given:
            option = {"autostart": "no-start", "timeout_s": "timeout"}.get(name, name)
            return f"--{option}"
        if os.environ.get(variable):
            return variable
        if name in in_file:
            return str(path)
        if name == "store" and os.environ.get("STATE_DIRECTORY"):
            return "STATE_DIRECTORY"
        return "default"

    return [
        Setting(
            entry.name,
            _without_passwords(getattr(settings, entry.name)),
            source(entry.name),
            entry.default,
            entry.metadata["help"],
        )
        for entry in fields(Settings)
    ]


def _without_passwords(value: Any) -> Any:
    """A setting as it may be shown to whoever looks over the shoulder: the URLs of databases name no password."""
    if not isinstance(value, str) or "://" not in value:
        return value
    return " ".join(without_password(one) if is_database(one) else one for one in value.split(" "))


@verb(
    "config",
    "Show every setting: its value, where that comes from, and what it does.",
    argument("name", nargs="?", metavar="SETTING", help="this setting alone: its value"),
    argument(
        "--check", action="store_true", help="say whether file and environment can be used; the exit code is 4 if not"
    ),
    argument("--toml", action="store_true", help="print a settings file with every default, to be edited"),
)
def config(call: Call) -> Answer:
    """A setting comes from an option, else from ENHANCED_MEMORY_<NAME>, else from the file, else from its default."""
    if call.given.toml:
        text = _toml()
        return Answer({"toml": text}, lambda paper: paper.line(text.rstrip("\n")))
    if call.given.check:
        return _checked(call)
    every = settings_with_sources(call)
    name: str | None = call.given.name
    if name is not None:
        one = next((each for each in every if each.name == name), None)
        if one is None:
            raise NotFound(f"There is no setting {name}.", "see `memoryctl config`")
        return Answer(msgspec.to_builtins(one), lambda paper: paper.line(_shown(one.value)))
    whole = Configuration(every, str(config_file()), call.settings.store_name, str(call.settings.socket_path))
    return Answer(msgspec.to_builtins(whole), lambda paper: _tell(paper, whole))


def _checked(call: Call) -> Answer:
    """Every setting is read as a daemon would read it. `Invalid` names the first that cannot be."""
    settings = call.settings
    if settings.store_path.is_dir():
        raise Invalid(f"The setting store names a folder: {settings.store_path}.", "name a file in it")
    given = [each for each in settings_with_sources(call) if each.source != "default"]
    value = {"ok": True, "file": str(config_file()), "given": {each.name: each.source for each in given}}

    def tell(paper: Paper) -> None:
        paper.line("The settings can be used.")
        paper.facts([(each.name, f"{_shown(each.value)} ({each.source})") for each in given])

    _ = settings.socket_path  # too long a path is said here
    return Answer(value, tell)


def _tell(paper: Paper, whole: Configuration) -> None:
    paper.table(
        ("setting", "value", "from", "what it is"),
        [(each.name, _shown(each.value), each.source, each.help) for each in whole.settings],
    )
    there = "" if Path(whole.file).is_file() else " (not there: `memoryctl config --toml` prints one)"
    paper.facts([("file", whole.file + there), ("store", whole.store_path), ("socket", whole.socket_path)])


def _shown(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else f"{value}"


def _toml() -> str:
    """A settings file in which every default stands as a comment."""
    lines = [
        "# Settings of enhanced-memory. Remove the # before what you change.",
        f"# Each can also be given as {PREFIX}<NAME>.",
    ]
    for entry in fields(Settings):
        # JSON's texts, numbers and booleans are TOML's, too.
        lines += ["", f"# {entry.metadata['help']}", f"# {entry.name} = {msgspec.json.encode(entry.default).decode()}"]
    return "\n".join(lines) + "\n"
