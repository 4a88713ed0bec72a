"""`memoryctl branch`: another line of memory, begun, compared, merged, discarded."""

import shlex
from collections.abc import Iterable
from typing import Any

import msgspec

from enhanced_memory.client.cli.arguments import positive, since
from enhanced_memory.client.cli.declare import BY_NAME, Answer, Call, argument, verb
from enhanced_memory.client.cli.exits import OK, PROBLEM, Usage
from enhanced_memory.client.cli.output import Paper, moment
from enhanced_memory.client.operations.branches import BranchDiff, BranchList, Changed, MergeConflict, Merged
from enhanced_memory.client.settings import PREFIX

_NAMELESS = ("list", "diff", "merge")
"""What may be asked without a name: of all branches, or of the space in use."""


@verb(
    "branch",
    "Begin a branch, list them, switch to one, compare, merge or discard it.",
    argument(
        "action",
        nargs="?",
        choices=("create", "list", "switch", "diff", "merge", "discard"),
        default="list",
        help="what to do (list)",
    ),
    argument("name", nargs="?", metavar="NAME", help="the branch; diff and merge take the space in use without it"),
    argument("--entity", "-e", metavar="NAME", help="create: a branch of this entity alone"),
    BY_NAME,
    argument("--parent", metavar="SPACE", help="create: branch from this space; list: its branches"),
    argument("--at", metavar="CHANGE", help="create: as it was after this change, or at this time: 42, 2h, 2026-11-21"),
    argument("--now", action="store_true", help="diff: against the parent as it is now, not as the branch began"),
    argument("--into", metavar="SPACE", help="merge: into this space, not the parent"),
    argument(
        "--strategy",
        choices=("report", "ours", "theirs", "union"),
        default="report",
        help="merge: what becomes of conflicts (report: they stay open); theirs is the branch",
    ),
    argument("--dry-run", action="store_true", help="merge: say what would happen"),
    argument("--discarded", action="store_true", help="list discarded ones too"),
    argument("--limit", "-n", type=positive, default=1000, help="how many at most (1000)"),
    argument("--message", "-m", default="", metavar="WHY", help="why; kept in the history"),
)
def branch(call: Call) -> Answer:
    """`switch` prints what makes this shell work in the branch: eval "$(memoryctl branch switch NAME)".

    A merge that leaves conflicts open ends with 1. What it could merge it has merged; merge again with a strategy, or
    change what is in conflict and merge again.
    """
    given = call.given
    if given.name is None and given.action not in _NAMELESS:
        raise Usage(f"branch {given.action} takes a name")
    if given.action == "list" and given.name is not None:
        raise Usage("branch list takes no name", "give --parent to list the branches of one space")
    return _ACTIONS[given.action](call)


def _create(call: Call) -> Answer:
    given = call.given
    at = None if given.at is None else int(given.at) if given.at.isdigit() else since(given.at)
    entity = None if given.entity is None else call.ref(given.entity)
    made = call.memory.memory_branch(given.name, entity=entity, parent=given.parent, at=at, message=given.message)
    return Answer(made, lambda paper: _tell_branches(paper, BranchList([made], "")))


def _list(call: Call) -> Answer:
    given = call.given
    found = call.memory.list_branches(parent=given.parent, discarded=given.discarded, limit=min(given.limit, 1000))
    while found.cursor is not None and len(found.branches) < given.limit:
        page = call.memory.list_branches(
            parent=given.parent,
            discarded=given.discarded,
            limit=min(given.limit - len(found.branches), 1000),
            cursor=found.cursor,
        )
        found = msgspec.structs.replace(page, branches=found.branches + page.branches)
    return Answer(found, lambda paper: _tell_branches(paper, found))


def _tell_branches(paper: Paper, found: BranchList) -> None:
    if not found.branches:
        paper.line("None.")
        return
    rows = [
        (
            "*" if each.name == found.current else "",
            each.name + (" (discarded)" if each.discarded else ""),
            each.parent + (f" at {each.pinned_at}" if each.pinned_at is not None else ""),
            f"#{each.entity} {each.entity_name}" if each.entity is not None else "all",
            f"{each.entities:,}",
            f"at {each.merged_at}" if each.merged_at is not None else "–",
            moment(each.created_at),
            each.message,
        )
        for each in found.branches
    ]
    paper.table(("", "branch", "of", "what", "changed", "merged", "made", "why"), rows)
    if found.cursor is not None:
        paper.line("There are more: give a larger --limit.", "dim")


def _switch(call: Call) -> Answer:
    space = call.memory.switch(call.given.name)
    return Answer(space, lambda paper: paper.line(f"export {PREFIX}SPACE={shlex.quote(space.name)}"))


def _diff(call: Call) -> Answer:
    given = call.given
    against = "now" if given.now else "pin"
    found = call.memory.diff_branch(given.name, against=against, limit=min(given.limit, 1000))
    count = len(found.entities) + len(found.relations)
    while found.cursor is not None and count < given.limit:
        page = call.memory.diff_branch(
            given.name, against=against, limit=min(given.limit - count, 1000), cursor=found.cursor
        )
        found = msgspec.structs.replace(
            page, entities=found.entities + page.entities, relations=found.relations + page.relations
        )
        count = len(found.entities) + len(found.relations)
    return Answer(found, lambda paper: _tell_diff(paper, found))


_SIGNS = {"added": "+", "removed": "-", "changed": "~"}
_COLOURS = {"+": "green", "-": "red", "~": "yellow"}


def _signed(paper: Paper, sign: str, text: str, indent: int = 2) -> None:
    paper.line(f"{sign} {text}", _COLOURS[sign], indent=indent)


def _tell_diff(paper: Paper, found: BranchDiff) -> None:
    when = "as it is now" if found.against == "now" else "as the branch began"
    paper.head(f"{found.branch} against {found.parent} {when}")
    for one in found.entities:
        _signed(paper, _SIGNS[one.action], f"#{one.id} {one.name}", 0)
        _tell_changed(paper, one.changed)
        for sign, texts, word in (
            ("-", one.observations_removed, ""),
            ("+", one.observations_added, ""),
            ("-", one.tags_removed, "tag "),
            ("+", one.tags_added, "tag "),
        ):
            for text in texts:
                _signed(paper, sign, word + text)
    for edge in found.relations:
        _signed(paper, _SIGNS[edge.action], " → ".join((edge.from_, edge.type, edge.to)), 0)
        _tell_changed(paper, edge.changed)
    if found.messages:
        _signed(paper, "+", f"{found.messages:,} messages", 0)
    if not (found.entities or found.relations or found.messages):
        paper.line("Nothing differs.")
    if found.cursor is not None:
        paper.line("There is more: give a larger --limit.", "dim")


def _tell_changed(paper: Paper, parts: Iterable[Changed]) -> None:
    for part in parts:
        if part.before is not None:
            _signed(paper, "-", f"{part.part}: {_plain(part.before)}")
        if part.after is not None:
            _signed(paper, "+", f"{part.part}: {_plain(part.after)}")


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _merge(call: Call) -> Answer:
    given = call.given
    done = call.memory.merge_branch(
        given.name,
        into=given.into,
        strategy=given.strategy,
        dry_run=given.dry_run,
        limit=min(given.limit, 1000),
        message=given.message,
    )
    return Answer(done, lambda paper: _tell_merged(paper, done), PROBLEM if done.open else OK)


def _tell_merged(paper: Paper, done: Merged) -> None:
    paper.head(f"{done.branch} into {done.into}" + (": a dry run, nothing was changed" if done.dry_run else ""))
    counts = [
        ("entities", [("created", done.created), ("updated", done.updated), ("deleted", done.deleted), ("restored", done.restored)]),
        ("relations", [("added", done.relations_added), ("removed", done.relations_removed), ("waiting", done.relations_waiting)]),
        ("messages", [("appended", done.messages)]),
        ("conflicts", [("open", done.open), ("settled", done.settled)]),
    ]  # fmt: skip
    told = [(what, ", ".join(f"{count:,} {word}" for word, count in each if count)) for what, each in counts]
    paper.facts([(what, text) for what, text in told if text] or [("nothing", "was new")])
    for conflict in done.conflicts:
        _tell_conflict(paper, conflict)
    if done.open > sum(not one.settled for one in done.conflicts):
        paper.line("There are more: give a larger --limit.", "dim")


def _tell_conflict(paper: Paper, one: MergeConflict) -> None:
    settled = f", settled: {one.settled}" if one.settled else ""
    paper.head(f"#{one.id} {one.name}: {one.part} ({one.says}{settled})")
    for word, side in (("base", one.base), ("ours", one.ours), ("theirs", one.theirs)):
        paper.line(f"{word}: {'–' if side is None else _plain(side)}", "" if word == "base" else "yellow", indent=2)


def _discard(call: Call) -> Answer:
    gone = call.memory.discard_branch(call.given.name, message=call.given.message)
    parent = f" --parent {shlex.quote(gone.parent)}" if gone.parent else ""
    back = f"`memoryctl spaces create {shlex.quote(gone.name)}{parent}` brings it back"
    return Answer(gone, lambda paper: paper.line(f"discarded: {gone.name}; {back}"))


_ACTIONS = {
    "create": _create,
    "list": _list,
    "switch": _switch,
    "diff": _diff,
    "merge": _merge,
    "discard": _discard,
}
