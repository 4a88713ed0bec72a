"""`memoryctl install` and `uninstall`: `memory-mcp` in the configuration of an MCP client, and out of it again."""

import json
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from enhanced_memory.client.cli.changing import (
    Plan,
    Servers,
    apply,
    hooks_plan,
    server_plan,
    servers,
    take_back,
    tidy,
)
from enhanced_memory.client.cli.clients import CLIENTS, Client, Launch, Scope, known, launch, project_root
from enhanced_memory.client.cli.declare import Answer, Call, argument, verb
from enhanced_memory.client.cli.exits import OK, PROBLEM
from enhanced_memory.client.cli.formats import Unsafe, form, without_entry, without_item
from enhanced_memory.client.cli.installed import Installation, installations, read_state
from enhanced_memory.client.cli.output import Paper
from enhanced_memory.client.cli.placing import Edit, backed_up, read, write
from enhanced_memory.client.errors import Conflict, Invalid, NotFound
from enhanced_memory.client.settings import PREFIX

__all__ = ["Outcome"]

CARRIED = ("STORE", "SOCKET", "CONFIG")
"""What decides which memory is meant. Clients start servers without the shell's variables, so the entry says it."""

CLIENT = argument("client", metavar="CLIENT", help="which client; `memoryctl clients` lists them")
SCOPE = argument(
    "--scope", choices=("user", "project"), default="user", help="the user's file (default), or that of this project"
)
DRY = argument("--dry-run", action="store_true", help="show the change, write nothing")


@dataclass
class Change:
    """One file that was, or would be, changed."""

    file: str
    diff: str
    backup: str = ""


@dataclass
class Outcome:
    """What became of a request to install or to uninstall."""

    client: str
    scope: str
    name: str
    written: bool
    changes: list[Change] = field(default_factory=list[Change])
    snippet: str = ""
    """What is to be written by hand, where it could not be written safely."""
    reason: str = ""


@verb(
    "install",
    "Put memory-mcp into an MCP client's configuration.",
    CLIENT,
    SCOPE,
    DRY,
    argument("--profile", metavar="NAME", help="the profile of tools: compat, core, full, or toolsets"),
    argument("--hooks", action="store_true", help="also hooks that recall at a session's start and keep it at its end"),
    argument("--command", metavar="PATH", help="the memory-mcp to launch (default: the one of this installation)"),
    argument("--name", metavar="NAME", help="what the client calls the server (default: memory)"),
    argument("--replace-official", action="store_true", help="take the official memory server's place, and its file"),
)
def install(call: Call) -> Answer:
    """Shows the change, keeps a backup and writes it. --space, --store, --socket and --agent go into the entry."""
    given = call.given
    client, scope = _client(given.client), given.scope
    found = _servers(client, scope)
    official = _official(client, found, given.replace_official, given.name)
    name: str = given.name or official or client.server
    how = _launch(call, scope, found.launches().get(official))
    _taken(client, found, name, official)
    outcome = Outcome(client.name, scope, name, False)
    plans: list[Plan] = []
    try:
        plan = server_plan(client, scope, found, name, how, official)
        plans += [plan] if plan else []
        if given.hooks:
            hooks = hooks_plan(client, scope, _hook_commands(client, call, how))
            plans += [hooks] if hooks else []
    except Unsafe as problem:
        outcome.reason, outcome.snippet = str(problem), _snippet(client, found, name, how)
        return Answer(msgspec.to_builtins(outcome), lambda paper: _tell_snippet(paper, client, found, outcome), PROBLEM)
    _show(call, [plan.edit for plan in plans])
    outcome.changes = [Change(str(plan.edit.file), plan.edit.diff) for plan in plans]
    if not given.dry_run:
        with installations() as noted:
            for plan, change in zip(plans, outcome.changes, strict=True):
                change.backup = str(apply(plan, noted) or "")
        outcome.written = bool(plans)
    return Answer(msgspec.to_builtins(outcome), lambda paper: _tell_install(paper, client, outcome), OK)


@verb("uninstall", "Take memory-mcp out of an MCP client's configuration.", CLIENT, SCOPE, DRY)
def uninstall(call: Call) -> Answer:
    """The file becomes what it was, byte for byte; if others changed it since, only what was added is taken out."""
    given = call.given
    client, scope = _client(given.client), given.scope
    outcome = Outcome(client.name, scope, "", False)
    with installations() as noted:
        notes = [note for note in reversed(noted) if (note.client, note.scope) == (client.name, scope) and _here(note)]
        for note in notes:
            try:
                edit = take_back(note, client)
            except Unsafe as problem:
                outcome.reason += f"{note.name} is to be taken out of {note.file} by hand: {problem}. "
                continue
            if edit is not None:
                outcome.changes.append(_undone(call, edit, note))
            if not given.dry_run:
                noted.remove(note)
                if note.created:
                    tidy(note)
        if not notes:
            outcome.changes += _unnoted(call, client, scope, outcome)
    outcome.written = bool(outcome.changes) and not given.dry_run
    code = PROBLEM if outcome.reason else OK
    return Answer(msgspec.to_builtins(outcome), lambda paper: _tell_uninstall(paper, client, outcome), code)


def _here(note: Installation) -> bool:
    return note.scope == "user" or Path(note.file).is_relative_to(project_root())


def _undone(call: Call, edit: Edit, note: Installation) -> Change:
    _show(call, [edit])
    change = Change(str(edit.file), edit.diff)
    if call.given.dry_run:
        return change
    restored = bool(note.backup) and edit.after is not None and read(Path(note.backup)) == edit.after
    if not restored and edit.after is not None:
        change.backup = str(backed_up(edit.file, edit.before or b""))
    write(edit)
    if restored:
        Path(note.backup).unlink()  # the file is the backup again
    return change


def _unnoted(call: Call, client: Client, scope: Scope, outcome: Outcome) -> list[Change]:
    """What was written by hand, or by another machine into a file that is shared."""
    found = servers(client, scope)
    if found is None:
        return []
    changes: list[Change] = []
    for name in [name for name, how in found.launches().items() if how.ours]:
        written = form(client.form)
        try:
            if client.listed:
                place = list(found.named).index(name)
                text = without_item(written, found.text, found.path, place, 0)
            else:
                text = without_entry(written, found.text, found.path, name, 0)
        except Unsafe as problem:
            outcome.reason += f"{name} is to be taken out of {found.file} by hand: {problem}. "
            continue
        edit = Edit(found.file, found.raw, text.encode())
        note = Installation(client.name, scope, str(found.file), "server", list(found.path), name, "")
        changes.append(_undone(call, edit, note))
        found = servers(client, scope) or found
    return changes


def _client(name: str) -> Client:
    client = known(name)
    if client is None:
        from difflib import get_close_matches

        near = get_close_matches(name, [each.name for each in CLIENTS], 1)
        raise NotFound(
            f"There is no client {name!r}.", f"did you mean {near[0]}?" if near else "see `memoryctl clients`"
        )
    return client


def _servers(client: Client, scope: Scope) -> Servers:
    found = servers(client, scope)
    if found is None:
        raise Invalid(f"{client.title} keeps no servers with a project.", "leave out --scope project")
    return found


def _official(client: Client, found: Servers, replace: bool, name: str | None) -> str:
    """The official server whose place is to be taken, if any."""
    names = [each for each, how in found.launches().items() if how.official]
    if replace:
        if not names:
            raise NotFound(f"{found.file} launches no official memory server.", "leave out --replace-official")
        return names[0]
    if names and (name is None or name in names):
        raise Conflict(
            f"{client.title} launches the official memory server, as {names[0]}.",
            "--replace-official takes its place and its file; --name NAME puts memory-mcp beside it",
        )
    return ""


def _taken(client: Client, found: Servers, name: str, official: str) -> None:
    entry = found.named.get(name)
    if entry is None or name == official:
        return
    how = launch(entry)
    noted = any((note.file, note.name, note.what) == (str(found.file), name, "server") for note in read_state())
    if not noted and not (how and how.ours):
        raise Conflict(f"{client.title} has another server that is called {name}.", "give --name another one")


def _launch(call: Call, scope: Scope, official: Launch | None) -> Launch:
    given, said = call.given, call.overrides
    env: dict[str, str] = {}
    if official and (file := official.env.get("MEMORY_FILE_PATH")):
        env["MEMORY_FILE_PATH"] = file
    if scope == "user":
        env |= {PREFIX + name: os.environ[PREFIX + name] for name in CARRIED if os.environ.get(PREFIX + name)}
    env |= {PREFIX + name.upper(): str(said[name]) for name in ("store", "socket", "space", "agent") if name in said}
    args = ["--profile", str(given.profile)] if given.profile else []
    return Launch(_command(given.command, scope), args, env)


def _command(given: str | None, scope: Scope) -> str:
    if given:
        path = shutil.which(given)
        if path is None:
            raise NotFound(f"{given} is no program.", "give the path of a memory-mcp")
        return given if os.sep not in given else str(Path(path).absolute())
    if scope == "project":
        return "memory-mcp"  # the file is shared: a path would hold on this machine alone
    return _program("memory-mcp")


def _program(name: str) -> str:
    """One of our programs, as an absolute path: a client started from a desktop has another PATH than a shell."""
    beside = Path(sys.executable).absolute().with_name(name)
    path = str(beside) if os.access(beside, os.X_OK) else shutil.which(name)
    if path is None:
        raise NotFound(f"{name} is not found.", "install enhanced-memory, or give --command PATH")
    return str(Path(path).absolute())


def _hook_commands(client: Client, call: Call, how: Launch) -> dict[str, list[str]]:
    if client.hooks is None:
        having = ", ".join(each.name for each in CLIENTS if each.hooks)
        raise Invalid(f"{client.title} has no hooks that are known.", f"clients with hooks: {having}")
    if "MEMORY_FILE_PATH" in how.env and PREFIX + "SPACE" not in how.env:
        raise Invalid(
            "The server would work in the space of its file, and the hooks in another.", "give --space NAME to both"
        )
    program = "memoryctl" if call.given.scope == "project" else _program("memoryctl")
    options: list[str] = []
    for name in ("store", "socket", "space", "agent"):
        if PREFIX + name.upper() in how.env:
            options += [f"--{name}", how.env[PREFIX + name.upper()]]
    return {what: [program, *options, "hook", what] for what in ("recall", "capture")}


def _snippet(client: Client, found: Servers, name: str, how: Launch) -> str:
    entry = client.entry(how, name)
    if client.form in ("json", "jsonc"):
        whole: Any = {name: entry}
        for key in reversed(found.path):
            whole = {key: whole}
        return json.dumps(whole, indent=2, ensure_ascii=False)
    return form(client.form).put("", found.path, None if client.listed else name, entry).strip()


def _show(call: Call, edits: list[Edit]) -> None:
    """The change, before it is made."""
    if getattr(call.given, "json", False):
        return
    paper = Paper(sys.stdout)
    for edit in edits:
        paper.line(edit.diff.rstrip("\n"))
    sys.stdout.flush()


def _tell_install(paper: Paper, client: Client, outcome: Outcome) -> None:
    if not outcome.changes:
        paper.line(f"{client.title} has it already: nothing to do.")
    elif not outcome.written:
        paper.line("Nothing was written (--dry-run).")
    else:
        for change in outcome.changes:
            paper.line(f"Written: {change.file}" + (f" (before: {change.backup})" if change.backup else ""))
        paper.line(f"Restart {client.title}. `memoryctl doctor` tries it, `memoryctl uninstall` takes it back.")


def _tell_snippet(paper: Paper, client: Client, found: Servers, outcome: Outcome) -> None:
    paper.line(f"{found.file} cannot be changed safely: {outcome.reason}. Nothing was written.", "yellow")
    paper.line(f"Put this into it by hand ({client.page}):")
    paper.line(outcome.snippet)


def _tell_uninstall(paper: Paper, client: Client, outcome: Outcome) -> None:
    if not outcome.changes and not outcome.reason:
        paper.line(f"{client.title} does not launch memory-mcp: nothing to do.")
    elif not outcome.written and not outcome.reason:
        paper.line("Nothing was written (--dry-run).")
    for change in outcome.changes if outcome.written else []:
        paper.line(f"Written: {change.file}" + (f" (before: {change.backup})" if change.backup else ""))
    if outcome.reason:
        paper.line(outcome.reason.strip(), "yellow")
