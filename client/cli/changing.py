"""Putting an entry into a client's file and taking it out again: what is planned, and what is noted of it."""

import re
import shlex
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from enhanced_memory.client.cli.clients import Client, Launch, Scope, launch, project_root
from enhanced_memory.client.cli.formats import (
    Form,
    Malformed,
    at,
    form,
    with_entry,
    with_item,
    without_entry,
    without_item,
)
from enhanced_memory.client.cli.installed import Installation
from enhanced_memory.client.cli.placing import Edit, backed_up, digest, read, text_of, write
from enhanced_memory.client.errors import Invalid

__all__ = ["Plan", "Servers", "apply", "hooks_plan", "server_plan", "servers", "take_back", "tidy"]

HOOK_LIMITS_S = {"recall": 5, "capture": 10}


@dataclass
class Servers:
    """The servers that a client's file names, and where in it they stand."""

    file: Path
    raw: bytes | None
    text: str
    path: tuple[str, ...]
    named: dict[str, Any]

    def launches(self) -> dict[str, Launch]:
        """Those that are started, by name."""
        return {name: found for name, entry in self.named.items() if (found := launch(entry)) is not None}


@dataclass
class Plan:
    """One change of one file, and what is to be noted of it."""

    edit: Edit
    note: Installation


def servers(client: Client, scope: Scope) -> Servers | None:
    """What the client's file of that scope says; None where the client has none. `Invalid` where it is malformed."""
    file = client.file(scope)
    if file is None:
        return None
    raw = read(file)
    text = text_of(file, raw or b"")
    data = _parsed(form(client.form), file, text)
    path = client.path
    if client.newer_path and isinstance(at(data, client.newer_path), dict):
        path = client.newer_path
    here = at(data, path)
    named = {str(_members(item).get("name")): item for item in _list(here)} if client.listed else _members(here)
    return Servers(file, raw, text, path, named)


def _parsed(form: Form, file: Path, text: str) -> Any:
    try:
        return form.parse(text)
    except Malformed as problem:
        raise Invalid(f"{file} is malformed: {problem}.", "mend it first; nothing was written") from None


def server_plan(client: Client, scope: Scope, found: Servers, name: str, how: Launch, official: str) -> Plan | None:
    """Put the server `name` into the file, in the place of `official` if that is named. None where it is there already.

    `Unsafe` where the file cannot be changed as text.
    """
    written = form(client.form)
    entry = client.entry(how, name)
    if found.named.get(name) == entry and official in ("", name):
        return None
    text = found.text
    start = client.project_start if scope == "project" else client.start
    if found.raw is None and start:
        text = start
    made = _missing(written, text, found.path)
    old = official or (name if name in found.named else "")
    if old and (client.listed or old != name):
        text = _without(client, written, text, found.path, old, 0)
    text = (
        with_item(written, text, found.path, entry)
        if client.listed
        else with_entry(written, text, found.path, name, entry)
    )
    note = Installation(
        client.name,
        scope,
        str(found.file),
        "server",
        list(found.path),
        name,
        "",
        made=made,
        entry=entry,
        replaced={"name": official, "entry": found.named[official]} if official else None,
    )
    return Plan(Edit(found.file, found.raw, text.encode()), note)


def _missing(form: Form, text: str, path: tuple[str, ...]) -> int:
    data = form.parse(text)
    return sum(at(data, path[: number + 1]) is None for number in range(len(path)))


def _without(client: Client, form: Form, text: str, path: tuple[str, ...], name: str, made: int) -> str:
    if not client.listed:
        return without_entry(form, text, path, name, made)
    items = _list(at(form.parse(text), path))
    place = next(place for place, item in enumerate(items) if _members(item).get("name") == name)
    return without_item(form, text, path, place, made)


def hooks_plan(client: Client, scope: Scope, commands: dict[str, list[str]]) -> Plan | None:
    """Put hooks with these commands, by `recall` and `capture`, into the client's file. None where they are there.

    Hooks of ours with other commands are replaced. `Unsafe` where the file cannot be changed as text.
    """
    hooks = client.hooks
    if hooks is None:
        return None
    file = Path(hooks.user).expanduser() if scope == "user" else project_root() / hooks.project
    written = form("json")
    raw = read(file)
    text = before = text_of(file, raw or b"")
    _parsed(written, file, text)
    items: list[dict[str, Any]] = []
    for what, words in commands.items():
        path = (*hooks.path, hooks.recall if what == "recall" else hooks.capture)
        command = shlex.join(words)
        listed = at(written.parse(text), path)
        places = _hook_places(listed, what)
        made = _missing(written, text, path)
        items.append({"path": list(path), "name": command, "made": made})
        if [command] == [_command(listed[place]) for place in places]:
            continue
        for place in reversed(places):
            text = without_item(written, text, path, place, 0)
        item: dict[str, Any] = {"matcher": hooks.recall_on} if what == "recall" else {}
        item["hooks"] = [{"type": "command", "command": command, "timeout": HOOK_LIMITS_S[what]}]
        text = with_item(written, text, path, item)
    if text == before:
        return None
    note = Installation(client.name, scope, str(file), "hooks", list(hooks.path), "hooks", "", entry={"items": items})
    return Plan(Edit(file, raw, text.encode()), note)


def _command(item: Any) -> str:
    """The command of an item in a list of hooks; empty where it has none."""
    for inner in _list(_members(item).get("hooks")):
        command = _members(inner).get("command")
        return command if isinstance(command, str) else ""
    return ""


def _hook_places(items: Any, what: str) -> list[int]:
    """Which items of a list of hooks are ours."""
    ours = re.compile(rf"memoryctl\b.* hook {what}\b")
    return [place for place, item in enumerate(_list(items)) if ours.search(_command(item))]


def _members(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return cast("list[Any]", value) if isinstance(value, list) else []


def apply(plan: Plan, noted: list[Installation]) -> Path | None:
    """Write the change, with a backup of what was there, and note it. Answers the backup."""
    edit, note = plan.edit, plan.note
    old = next((one for one in noted if _same(one, note)), None)
    backup = backed_up(edit.file, edit.before) if edit.before is not None else None
    folders = write(edit)
    note.written = digest(edit.after or b"")
    note.created, note.backup = edit.before is None, str(backup or "")
    note.folders = [str(folder) for folder in folders]
    if old is not None:
        # Written again: what was there before is what was there before the first time, if nobody else wrote since.
        note.whole = old.whole and digest(edit.before or b"") == old.written
        note.created, note.backup, note.folders = old.created, old.backup, old.folders
        note.made, note.replaced = old.made, note.replaced or old.replaced
        first = {tuple(item["path"]): item["made"] for item in _list(old.entry.get("items"))}
        for item in _list(note.entry.get("items")):
            item["made"] = first.get(tuple(item["path"]), item["made"])
        noted.remove(old)
    noted.append(note)
    return backup


def _same(one: Installation, other: Installation) -> bool:
    return (one.client, one.scope, one.file, one.what) == (other.client, other.scope, other.file, other.what)


def take_back(note: Installation, client: Client) -> Edit | None:
    """The change that undoes `note`: the file as it was if nobody wrote since, else what was added is taken out.

    None where nothing of it is there any more. `Unsafe` where it cannot be taken out as text.
    """
    file = Path(note.file)
    raw = read(file)
    if raw is None:
        return None
    if note.whole and digest(raw) == note.written:
        if note.created:
            return Edit(file, raw, None)
        kept = read(Path(note.backup)) if note.backup else None
        if kept is not None:
            return Edit(file, raw, kept)
    text = text_of(file, raw)
    taken = _server_out(note, client, text) if note.what == "server" else _hooks_out(note, text)
    return None if taken == text else Edit(file, raw, taken.encode())


def _server_out(note: Installation, client: Client, text: str) -> str:
    written, path = form(client.form), tuple(note.path)
    here = at(_parsed(written, Path(note.file), text), path)
    names = [_members(each).get("name") for each in _list(here)] if client.listed else list(_members(here))
    if note.name not in names:
        return text
    back = note.replaced
    text = _without(client, written, text, path, note.name, 0 if back else note.made)
    if back is None:
        return text
    entry, name = _members(back["entry"]), str(back["name"])
    if client.listed:
        return with_item(written, text, path, entry)
    return with_entry(written, text, path, name, entry)


def _hooks_out(note: Installation, text: str) -> str:
    written = form("json")
    for item in reversed(_list(note.entry.get("items"))):
        path = tuple(map(str, item["path"]))
        listed = _list(at(_parsed(written, Path(note.file), text), path))
        places = [place for place, each in enumerate(listed) if _command(each) == item["name"]]
        if places:
            text = without_item(written, text, path, places[-1], int(item["made"]))
    return text


def tidy(note: Installation) -> None:
    """Remove the folders that were made for the file, if nothing else came into them."""
    for folder in reversed(note.folders):
        with suppress(OSError):
            Path(folder).rmdir()
