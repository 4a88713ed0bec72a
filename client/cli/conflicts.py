"""The verb about conflicts: listing, detecting, resolving."""

from collections.abc import Callable
from typing import Any

from enhanced_memory.client.cli.declare import BY_NAME, Answer, Call, argument, verb
from enhanced_memory.client.cli.exits import OK, PROBLEM, Usage
from enhanced_memory.client.cli.output import Paper, moment
from enhanced_memory.client.cli.progress import progress
from enhanced_memory.client.conflict_values import MemoryConflict
from enhanced_memory.client.operations.conflicts import ConflictPage, Detected, Resolved, Scan

DOES = ("list", "detect", "resolve")
RESOLUTIONS = ("merge", "update", "branch", "ignore")
STATUS = ("pending", "merged", "updated", "branched", "ignored", "any")
TYPES = ("duplicate", "update", "contradiction")


@verb(
    "conflicts",
    "List conflicts, look for them, resolve one.",
    argument("does", choices=DOES, metavar="list|detect|resolve", help="what to do"),
    argument("names", nargs="*", metavar="NAME", help="detect: these entities alone; resolve: the conflict's number"),
    BY_NAME,
    argument("--status", choices=STATUS, default="pending", help="list: conflicts in this state (pending)"),
    argument("--type", dest="types", action="append", default=[], choices=TYPES, help="list: conflicts of this type"),
    argument("--of", metavar="NAME", help="list: conflicts of this entity"),
    argument("--limit", "-n", type=int, default=20, help="list: how many at most (20)"),
    argument("--before", type=int, metavar="NUMBER", help="list: those before this one"),
    argument("--threshold", type=float, default=0.85, help="detect: overlap above which two are duplicates (0.85)"),
    argument("--action", choices=RESOLUTIONS, help="resolve: how; unless given, what is suggested"),
    argument("--keep", metavar="NAME", help="resolve: which stays, or ranks above; within one entity: older, newer"),
    argument("--branch", default="", metavar="NAME", help="resolve with branch: what the branch is called"),
    argument("--notes", default="", help="resolve: why"),
)
def conflicts(call: Call) -> Answer:
    """`detect` without names compares the whole space, shows how far it is, and records what it finds; with names it
    only tells. The exit code of `detect` is 1 where there are conflicts.
    """
    return _DOES[call.given.does](call)


def _list(call: Call) -> Answer:
    given = call.given
    if given.names:
        raise Usage("list takes no names", "name the entity with --of")
    page = call.memory.list_conflicts(
        status=given.status,
        types=given.types,
        entity=call.ref(given.of) if given.of else None,
        limit=given.limit,
        before=given.before,
    )
    return Answer(page, lambda paper: _tell_page(paper, page))


def _detect(call: Call) -> Answer:
    given = call.given
    if given.names:
        found = call.memory.detect_conflicts(stored=call.refs(given.names), threshold=given.threshold)
        return Answer(found, lambda paper: _tell_found(paper, found), PROBLEM if found.conflicts else OK)
    scan = call.memory.scan_conflicts(threshold=given.threshold, wait_s=0.0)
    done = 0
    with progress("comparing", max(1, scan.total)) as bar:
        try:
            while scan.state == "running":
                scan = call.memory.scan_conflicts(start=False, wait_s=0.5)
                bar(scan.done - done)
                done = scan.done
        except KeyboardInterrupt:
            call.memory.scan_conflicts(start=False, stop=True, wait_s=1.0)
            raise
    return Answer(
        scan, lambda paper: _tell_scan(paper, scan), OK if scan.state == "done" and not scan.found else PROBLEM
    )


def _resolve(call: Call) -> Answer:
    given = call.given
    if len(given.names) != 1 or not given.names[0].lstrip("#").isascii() or not given.names[0].lstrip("#").isdigit():
        raise Usage("resolve takes the number of one conflict", "see `memoryctl conflicts list`")
    number = int(given.names[0].lstrip("#")[:19])
    action = given.action or _suggested(call, number)
    keep = given.keep if given.keep in (None, "older", "newer") else call.ref(given.keep)
    done = call.memory.resolve_conflict(number, action, keep=keep, branch=given.branch, notes=given.notes)
    return Answer(done, lambda paper: _tell_resolved(paper, done))


def _suggested(call: Call, number: int) -> Any:
    page = call.memory.list_conflicts(status="any", before=number + 1, limit=1)
    return next((one.suggested_action for one in page.conflicts if one.id == number), "ignore")


_DOES: dict[str, Callable[[Call], Answer]] = {"list": _list, "detect": _detect, "resolve": _resolve}


def _tell_page(paper: Paper, page: ConflictPage) -> None:
    if not page.conflicts:
        paper.line("None.")
    for one in page.conflicts:
        _tell(paper, one)
    if page.cursor is not None:
        paper.line(f"more: --before {page.cursor}", "dim")


def _tell(paper: Paper, one: MemoryConflict) -> None:
    paper.head(
        f"{one.id}  {one.type}  {one.confidence:.0%}  {one.status}, {moment(one.resolved_at or one.detected_at)}"
    )
    _side(paper, one.entity, one.entity_id, one.entity_says, one.entity_id in one.gone)
    _side(
        paper,
        one.conflicting_entity,
        one.conflicting_entity_id,
        one.conflicting_says,
        one.conflicting_entity_id in one.gone,
    )
    paper.line(f"{one.reason}; suggested: {one.suggested_action}", "dim", indent=2)
    if one.notes:
        paper.line(one.notes, "dim", indent=2)


def _side(paper: Paper, name: str, number: int, says: str | None, gone: bool) -> None:
    paper.line(f"{name}  #{number}{' (deleted)' if gone else ''}{': ' + says if says else ''}", indent=2)


def _tell_found(paper: Paper, found: Detected) -> None:
    if not found.conflicts:
        paper.line(f"None; {found.compared:,} entities were compared.")
    for one in found.conflicts:
        paper.head(f"{one.conflict_type}  {one.confidence:.0%}  {one.reason}; suggested: {one.suggested_action}")
        _side(paper, one.existing_entity, one.existing_id, one.existing_says, False)
        paper.line(f"{one.entity}{': ' + one.new_says if one.new_says else ''}", indent=2)


def _tell_scan(paper: Paper, scan: Scan) -> None:
    paper.line(
        f"{scan.state}: {scan.entities:,} entities, {scan.pairs:,} pairs compared, {scan.found:,} conflicts found,"
        f" {scan.recorded:,} of them new, in {scan.seconds:.1f} s."
    )
    if scan.problem:
        paper.line(scan.problem, "red")
    elif scan.found:
        paper.line("See `memoryctl conflicts list`.", "dim")


def _tell_resolved(paper: Paper, done: Resolved) -> None:
    _tell(paper, done.conflict)
    for one in done.results:
        paper.line(f"#{one.id} {one.name}: version {one.version}", indent=2)
    if done.branch:
        paper.line(f"branch: {done.branch}", indent=2)
