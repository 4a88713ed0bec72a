"""Verbs about the past: what was changed by whom, what differs, names for moments, going back and taking back."""

from collections.abc import Iterable

import msgspec

from enhanced_memory.client.cli.arguments import instant, positive, since
from enhanced_memory.client.cli.declare import BY_NAME, Answer, Call, argument, verb
from enhanced_memory.client.cli.exits import OK, PROBLEM, Usage
from enhanced_memory.client.cli.output import Paper, moment
from enhanced_memory.client.operations.journal import Deed, JournalEntry, JournalPage, Undone
from enhanced_memory.client.operations.versions import Diff, History, Moment, Snapshot, ValueChange
from enhanced_memory.client.values import Origin, Relation

MESSAGE = argument("--message", "-m", default="", metavar="WHY", help="why; kept in the history")
NAME = argument("name", metavar="NAME", help="an entity by name, or by id as '#12' or id:12")
LIMIT = argument("--limit", "-n", type=positive, default=20, help="how many at most (20)")
YES = argument("--yes", action="store_true", help="do it; without it you are told what would happen")

WHOSE = (
    argument("--by-agent", metavar="AGENT", help="changes by this agent"),
    argument("--by-client", metavar="CLIENT", help="changes by this client"),
    argument("--session", help="changes in this session"),
    argument("--since", type=since, metavar="TIME", help="changes since: 2026-11-21, today, 2h, 3d, 1w"),
)


def _who(origin: Origin) -> str:
    return "/".join(dict.fromkeys(part for part in (origin.agent, origin.client, origin.user) if part)) or "unknown"


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")


@verb(
    "log",
    "List the versions of an entity, or the changes of the space, one a line, newest first.",
    argument("name", nargs="?", metavar="NAME", help="an entity by name, or by id as '#12' or id:12"),
    BY_NAME,
    LIMIT,
    argument("--before", type=positive, metavar="N", help="versions (of the space: changes) before this one"),
)
def log(call: Call) -> Answer:
    """`history` shows what each version says, `journal` what each change touched."""
    given = call.given
    if given.name is None:
        page = call.memory.journal(limit=given.limit, before=given.before)
        return Answer(page, lambda paper: _tell_changes(paper, page))
    found = call.memory.memory_history(call.ref(given.name), limit=given.limit, before=given.before, relations=False)
    return Answer(found, lambda paper: _tell_log(paper, found))


def _tell_log(paper: Paper, found: History) -> None:
    rows = [
        (
            f"{one.version}",
            moment(one.at),
            one.op + (" (deleted)" if one.deleted else ""),
            _who(one.origin),
            one.space,
            _one_line(one.message),
        )
        for one in found.versions
    ]
    paper.table(("version", "when", "operation", "who", "space", "why"), rows)
    if found.cursor is not None:
        paper.line(f"older ones: --before {found.cursor}", "dim")


def _tell_changes(paper: Paper, page: JournalPage) -> None:
    rows = [
        (
            f"{one.change}",
            moment(one.at),
            one.op + (f" (undone by {one.undone_by})" if one.undone_by else ""),
            _who(one.origin),
            one.space,
            _one_line(one.message) or _briefly(one),
        )
        for one in page.entries
    ]
    paper.table(("change", "when", "operation", "who", "space", "why or what"), rows)
    if page.cursor is not None:
        paper.line(f"older ones: --before {page.cursor}", "dim")


def _briefly(entry: JournalEntry) -> str:
    said = [_deed(deed) for deed in entry.deeds[:3]]
    more = len(entry.deeds) - len(said) + entry.more
    return ", ".join(said) + (f" and {more} more" if more else "")


def _deed(deed: Deed) -> str:
    if deed.subject == "entity":
        versions = f" {deed.before}→{deed.after}" if deed.before and deed.after else ""
        return f"{deed.act} {_one_line(deed.name) or f'#{deed.id}'}{versions}"
    return f"{deed.act} {deed.subject} {deed.id}"


@verb(
    "journal",
    "Show what was changed, by whom, when and why, and what each change touched.",
    LIMIT,
    argument("--before", type=positive, metavar="CHANGE", help="changes before this one"),
    argument("--change", type=positive, metavar="CHANGE", help="this change alone"),
    argument("--of", metavar="NAME", help="changes that touched this entity"),
    BY_NAME,
    *WHOSE,
    argument("--until", type=since, metavar="TIME", help="changes until"),
    argument("--op", dest="ops", action="append", default=[], metavar="OPERATION", help="changes by this operation"),
)
def journal(call: Call) -> Answer:
    """`undo CHANGE` takes one back."""
    given = call.given
    page = call.memory.journal(
        limit=given.limit,
        before=given.before,
        change=given.change,
        of=None if given.of is None else call.ref(given.of),
        agent=given.by_agent,
        client=given.by_client,
        session=given.session,
        ops=given.ops,
        since=given.since,
        until=given.until,
    )
    return Answer(page, lambda paper: _tell_journal(paper, page))


def _tell_journal(paper: Paper, page: JournalPage) -> None:
    if not page.entries:
        paper.line("None.")
    for one in page.entries:
        undone = f", undone by change {one.undone_by}" if one.undone_by else ""
        session = f", session {one.origin.session}" if one.origin.session else ""
        paper.head(
            f"change {one.change}, {moment(one.at)}, {one.op} by {_who(one.origin)}{session}, in {one.space}{undone}"
        )
        if one.message:
            paper.line(one.message, indent=2)
        for deed in one.deeds:
            paper.line(_deed(deed), indent=2)
        if one.more:
            paper.line(f"and {one.more} more", "dim", indent=2)
    if page.cursor is not None:
        paper.line(f"older ones: --before {page.cursor}", "dim")


@verb(
    "diff",
    "Show what differs between two versions, times or snapshots of an entity.",
    NAME,
    argument(
        "old", nargs="?", type=instant, metavar="OLD", help="a version's number, a time, a snapshot, or change:17"
    ),
    argument("new", nargs="?", type=instant, metavar="NEW", help="the same; without it, now"),
    BY_NAME,
    argument("--unified", "-u", action="store_true", help="as a unified diff"),
)
def diff(call: Call) -> Answer:
    """Without OLD: what the last version changed. The exit code is 0 whether anything differs or not."""
    given = call.given
    found = call.memory.memory_diff(call.ref(given.name), old=given.old, new=given.new, unified=given.unified)
    return Answer(found, lambda paper: _tell_unified(paper, found) if given.unified else _tell_diff(paper, found))


def _tell_unified(paper: Paper, found: Diff) -> None:
    for line in found.text.splitlines():
        head = line.startswith(("---", "+++"))
        style = "bold" if head else {"+": "green", "-": "red", "@": "cyan"}.get(line[:1], "")
        paper.line(line, style)


def _tell_diff(paper: Paper, found: Diff) -> None:
    paper.head(f"{_side(found.old)} → {_side(found.new)}")
    if found.same:
        paper.line("no difference", "dim", indent=2)
    for sign, text in _lines(found):
        paper.line(f"{sign} {text}", {"+": "green", "-": "red"}[sign], indent=2)


def _side(one: Moment) -> str:
    if not one.version:
        return "not there"
    return f"{_one_line(one.name)} version {one.version}{' (deleted)' if one.deleted else ''}, {moment(one.at)}, {_who(one.origin)}"


def _lines(found: Diff) -> Iterable[tuple[str, str]]:
    """What went and what came, in lines."""
    yield from _values(found.attributes, "")
    yield from _values(found.properties, "property ")
    for sign, tags in (("-", found.tags_removed), ("+", found.tags_added)):
        for tag in tags:
            yield sign, f"tag {tag}"
    for text in found.removed:
        yield "-", text
    for change in found.changed:
        yield "-", change.old
        yield "+", change.new if change.new != change.old else f"{change.new} (its provenance)"
    for text in found.added:
        yield "+", text
    for sign, relations in (("-", found.relations_removed), ("+", found.relations_added)):
        for one in relations:
            yield sign, _edge(one)


def _values(changes: list[ValueChange], what: str) -> Iterable[tuple[str, str]]:
    for change in changes:
        for sign, value, without in (("-", change.old, "added"), ("+", change.new, "removed")):
            if change.act != without:
                shown = value if isinstance(value, str) else msgspec.json.encode(value).decode()
                yield sign, f"{what}{change.key} = {shown}"


def _edge(one: Relation) -> str:
    return _one_line(f"{one.from_} → {one.type} → {one.to}")


@verb(
    "revert",
    "Make an entity say again what it said in an earlier version; the history stays.",
    NAME,
    argument("to", type=instant, metavar="TO", help="a version's number, a time, a snapshot, or change:17"),
    BY_NAME,
    argument("--relations", action="store_true", help="its relations, too"),
    argument("--expect", type=positive, metavar="VERSION", help="only if it is at this version"),
    MESSAGE,
)
def revert(call: Call) -> Answer:
    """`diff NAME TO` shows beforehand what would change."""
    given = call.given
    done = call.memory.memory_revert(
        call.ref(given.name),
        to=given.to,
        relations=given.relations,
        expected_version=given.expect,
        message=given.message,
    )
    return Answer(
        done, lambda paper: paper.line(f"{done.action}: #{done.id} {_one_line(done.name)}, version {done.version}")
    )


@verb(
    "commit",
    "Name what the space knows now; the name may stand wherever a time may.",
    argument("name", metavar="NAME", help="the snapshot's name"),
    argument("--at", type=instant, metavar="WHEN", help="not now, but then: a change's number, a time, a snapshot"),
    MESSAGE,
)
def commit(call: Call) -> Answer:
    """`show --at NAME`, `search --at NAME`, `diff ENTITY NAME` and `revert ENTITY NAME` go there."""
    given = call.given
    made = call.memory.memory_commit(given.name, at=given.at, message=given.message)
    return Answer(made, lambda paper: _tell_snapshots(paper, [made]))


@verb(
    "snapshots",
    "List snapshots, or take one's name away.",
    argument("action", nargs="?", choices=("list", "delete"), default="list", help="what to do (list)"),
    argument("name", nargs="?", metavar="NAME", help="the snapshot to delete"),
    LIMIT,
)
def snapshots(call: Call) -> Answer:
    """What was known then stays; only the name goes."""
    given = call.given
    if (given.action == "list") is not (given.name is None):
        raise Usage(f"snapshots {given.action} takes {'no name' if given.name else 'a name'}")
    if given.action == "delete":
        gone = call.memory.delete_snapshot(given.name)
        return Answer(gone, lambda paper: _tell_snapshots(paper, [gone]))
    page = call.memory.list_snapshots(limit=given.limit)
    return Answer(page, lambda paper: _tell_snapshots(paper, page.snapshots))


def _tell_snapshots(paper: Paper, found: list[Snapshot]) -> None:
    rows = [(one.name, f"{one.change}", moment(one.at), one.space, _one_line(one.message)) for one in found]
    paper.table(("snapshot", "change", "named", "space", "why"), rows)


@verb(
    "undo",
    "Take changes back: the last one, one by its number, or all by an agent or session.",
    argument("change", nargs="?", type=positive, metavar="CHANGE", help="the change's number, as `journal` tells it"),
    *WHOSE,
    YES,
    MESSAGE,
)
def undo(call: Call) -> Answer:
    """Tells what would happen; --yes does it. What others changed since stays; the exit code is 1 where that stands in the way."""
    given = call.given
    done = call.memory.undo(
        change=given.change,
        agent=given.by_agent,
        client=given.by_client,
        session=given.session,
        since=given.since,
        dry_run=not given.yes,
        message=given.message,
    )
    return Answer(done, lambda paper: _tell_undone(paper, done, "undone"), PROBLEM if done.conflicts else OK)


@verb(
    "redo",
    "Take an undoing back: the last one, or one by its number or that of what it undid.",
    argument("change", nargs="?", type=positive, metavar="CHANGE", help="the change's number"),
    YES,
    MESSAGE,
)
def redo(call: Call) -> Answer:
    """Tells what would happen; --yes does it."""
    given = call.given
    done = call.memory.redo(change=given.change, dry_run=not given.yes, message=given.message)
    return Answer(done, lambda paper: _tell_undone(paper, done, "done again"), PROBLEM if done.conflicts else OK)


def _tell_undone(paper: Paper, done: Undone, what: str) -> None:
    numbers = ", ".join(map(str, done.changes[:10])) + (
        f" and {len(done.changes) - 10} more" if len(done.changes) > 10 else ""
    )
    paper.head(f"{'would be ' if done.dry_run else ''}{what}: change {numbers}")
    for effect in done.effects:
        version = f" (version {effect.version})" if effect.version else ""
        paper.line(f"{effect.act} {_one_line(effect.name)}{version}", indent=2)
        for sign, texts in (("-", effect.removed), ("+", effect.added)):
            for text in texts:
                paper.line(f"{sign} {text}", {"+": "green", "-": "red"}[sign], indent=4)
    for obstacle in done.conflicts:
        name = _one_line(obstacle.name) or f"#{obstacle.id}"
        paper.line(
            f"conflict: change {obstacle.change}, {obstacle.subject} {name}: {obstacle.reason}", "yellow", indent=2
        )
    if done.dry_run and not done.conflicts:
        paper.line("nothing was done; --yes does it", "dim")
