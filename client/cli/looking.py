"""Verbs that look: at the whole, at an entity, at its past, at who asked for what."""

from collections.abc import Iterable

import msgspec

from enhanced_memory.client.cli.arguments import positive, since
from enhanced_memory.client.cli.declare import BY_NAME, DETAILS, MOMENT, REFS, TIERS, Answer, Call, argument, verb
from enhanced_memory.client.cli.exits import OK, PROBLEM
from enhanced_memory.client.cli.output import Paper, moment, size
from enhanced_memory.client.operations.service import AccessPage, Status
from enhanced_memory.client.operations.versions import History
from enhanced_memory.client.values import Entity, Graph, Observation, Origin, Version


@verb("status", "Say how much is remembered and whether all is well.")
def status(call: Call) -> Answer:
    """The exit code is 1 where the daemon names a problem."""
    found = call.memory.get_memory_status()
    well = found.state in ("ready", "checking") and not found.problems
    return Answer(found, lambda paper: _tell_status(paper, found), OK if well else PROBLEM)


def _told_reindexing(found: Status) -> list[tuple[str, str]]:
    job = found.reindexing
    if job is None or job.state == "done":
        return []
    return [
        (
            "reindexing",
            f"{job.step or job.what}, {job.done:,} of {job.total:,} passages"
            + (f"; {job.problem}" if job.problem else ""),
        )
    ]


def _tell_status(paper: Paper, found: Status) -> None:
    paper.facts(
        [
            ("state", found.state),
            *(("problem", problem) for problem in found.problems),
            ("store", f"{found.store} ({found.engine}, {size(found.file_bytes)}, log {size(found.wal_bytes)})"),
            ("space", f"{found.space} (one of {found.spaces})"),
            ("entities", f"{found.entities:,} here, {found.total_entities:,} in all"),
            ("by type", _counted(found.by_type) or "–"),
            *(("spaces hold", _counted(found.by_space)) for _ in range(len(found.by_space) > 1)),
            ("relations", f"{found.relations:,}"),
            ("messages", f"{found.messages:,}"),
            ("versions", f"{found.versions:,} by {found.changes:,} changes"),
            (
                "bodies",
                f"{size(found.body_bytes)} for {size(found.body_text_bytes)} of text ({found.compression:.0%} saved)",
            ),
            ("search", found.search),
            *_told_reindexing(found),
            *_told_meaning(found),
            ("expiring", _within(found.expiring)),
            *_told_curation(found),
            ("last backup", moment(found.last_backup) if found.last_backup else "none yet: `memoryctl backup`"),
            (
                "daemon",
                f"{found.server}, pid {found.pid}, up {_length(found.uptime_s)}, {found.memory_mb:.0f} MB, "
                f"{found.connections} connections, {found.requests:,} requests",
            ),
        ]
    )

    _chart(paper, "tiers", {tier: found.by_tier.get(tier, 0) for tier in TIERS})
    _chart(paper, "made within", {age: found.by_age.get(age, 0) for age in AGES})


AGES = ("day", "week", "month", "year", "older")
CHART = 40
"""Characters of the longest bar."""


def _chart(paper: Paper, title: str, counts: dict[str, int]) -> None:
    """A bar for each count, the largest as long as the chart is wide; what is there at all has one mark."""
    most = max(counts.values(), default=0)
    if not most:
        return
    paper.head(title)
    widest = max(map(len, counts))
    for name, count in counts.items():
        bar = "#" * max(count > 0, round(CHART * count / most))
        paper.line(f"{name:{widest}}  {bar}{' ' if bar else ''}{count:,}", indent=2)


def _within(expiring: dict[str, int]) -> str:
    told = {"expired": "expired and to be deleted", "day": "within a day", "week": "a week", "month": "a month"}
    return (
        ", ".join(f"{expiring[name]:,} {says}" for name, says in told.items() if expiring.get(name)) or "nothing soon"
    )


def _told_meaning(found: Status) -> list[tuple[str, str]]:
    if found.meaning is None or not found.meaning.backlog:
        return []
    return [
        (
            "backlog",
            f"{found.meaning.backlog:,} passages have no vector yet, the oldest for {found.meaning.lag_s:.0f} s",
        )
    ]


def _told_curation(found: Status) -> list[tuple[str, str]]:
    one = found.curation
    if one is None:
        return []
    did = "would have done" if one.last_dry_run else "did"
    last = f"{moment(one.last_at)}, {did} {_counted(one.last) or 'nothing'}" if one.last_at else "never yet"
    left = f", {one.left:,} left for another day" if one.left else ""
    when = f"{moment(one.next_at)}, to {one.mode}" if one.next_at else "none by itself (the setting curation is off)"
    waiting = _counted(one.next)
    ahead = f"as things are, for {waiting}" if waiting else "as things are there is nothing to do"
    lines = [("last curation", last + left), ("next curation", f"{when}; {ahead}")]
    return [*lines, *((("problem", one.problem),) if one.problem else ())]


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in sorted(counts.items(), key=lambda each: -each[1]))


def _length(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


@verb(
    "show",
    "Show entities with all they hold and how they are related.",
    REFS,
    BY_NAME,
    DETAILS,
    argument("--scope", default="", help="the scope in which the names are looked up"),
    *MOMENT,
    argument(
        "--version", dest="version_number", type=positive, metavar="N", help="as version N of a single entity says"
    ),
)
def show(call: Call) -> Answer:
    """The exit code is 1 where something named does not exist."""
    given = call.given
    graph = call.memory.open_nodes(
        names=call.refs(given.names),
        scope=given.scope,
        details=given.details,
        at=given.at,
        valid_at=given.valid_at,
        version=given.version_number,
    )
    return Answer(graph, lambda paper: _tell_graph(paper, graph), PROBLEM if graph.missing else OK)


def _tell_graph(paper: Paper, graph: Graph) -> None:
    for place, entity in enumerate(graph.entities):
        if place:
            paper.line()
        _tell_entity(paper, entity)
        for relation in graph.relations:
            if entity.id in (relation.from_id, relation.to_id):
                paper.line(
                    f"{_one_line(relation.from_)} → {_one_line(relation.type)} → {_one_line(relation.to)}", indent=4
                )
    for name in graph.missing:
        paper.line(f"not there: {_ref_shown(name)}", "yellow")


def _tell_entity(paper: Paper, entity: Entity) -> None:
    paper.head(f"{entity.name}  #{entity.id}  {entity.type}")
    marks = [
        mark
        for mark, holds in (
            ("pinned", entity.always_include),
            ("quarantined", entity.quarantined),
            ("deleted", entity.deleted),
        )
        if holds
    ]
    facts = [
        (
            "  is",
            ", ".join([f"version {entity.version}", f"tier {entity.tier}", f"priority {entity.priority}", *marks]),
        ),
        ("  in", entity.space + (f", scope {entity.scope}" if entity.scope else "")),
        ("  changed", f"{moment(entity.updated_at)}, made {moment(entity.created_at)}"),
    ]
    if entity.expires_at:
        facts.append(("  expires", moment(entity.expires_at)))
    if entity.tags:
        facts.append(("  tags", ", ".join(entity.tags)))
    for key, value in entity.properties.items():
        facts.append((f"  {_one_line(key)}", value if isinstance(value, str) else msgspec.json.encode(value).decode()))
    paper.facts(facts)
    if entity.details:
        for observation in entity.details:
            paper.line(f"- {observation.text}", indent=2)
            paper.line(_told_by(observation), "dim", indent=6)
    else:
        for text in entity.observations:
            paper.line(f"- {text}", indent=2)


def _told_by(observation: Observation) -> str:
    said = [f"#{observation.id}", moment(observation.at), _who(observation.origin), f"trust {observation.origin.trust}"]
    if observation.confidence is not None:
        said.append(f"confidence {observation.confidence:g}")
    if observation.valid_from or observation.valid_to:
        said.append(f"valid {moment(observation.valid_from)} to {moment(observation.valid_to)}")
    if observation.confirmed_at:
        said.append(f"confirmed {moment(observation.confirmed_at)}")
    if observation.speaker:
        said.append(f"said by {observation.speaker}")
    if observation.quarantined:
        said.append("quarantined")
    if observation.sources:
        said.append(
            "from " + " ".join(f"#{entity}.{note}" if note else f"#{entity}" for entity, note in observation.sources)
        )
    return _one_line(", ".join(said))


def _who(origin: Origin) -> str:
    parts = (origin.agent, origin.client, origin.user, origin.channel)
    return "/".join(dict.fromkeys(part for part in parts if part)) or "unknown"


def _one_line(text: str) -> str:
    return text.replace("\r", "\\r").replace("\n", "\\n")


def _ref_shown(name: int | str) -> str:
    return f"#{name}" if isinstance(name, int) else _one_line(name)


@verb(
    "history",
    "Show what an entity said before, newest first, deleted or not.",
    argument("name", metavar="NAME", help="an entity by name, or by id as '#12' or id:12"),
    BY_NAME,
    argument("--limit", "-n", type=positive, default=20, help="how many versions at most (20)"),
    argument("--before", type=positive, metavar="VERSION", help="versions before this one"),
)
def history(call: Call) -> Answer:
    """Each version is shown by what it added (+) and took away (-)."""
    given = call.given
    found = call.memory.memory_history(call.ref(given.name), limit=given.limit, before=given.before)
    return Answer(found, lambda paper: _tell_history(paper, found))


def _tell_history(paper: Paper, found: History) -> None:
    for place, version in enumerate(found.versions):
        marks = [mark for mark, holds in (("current", version.current), ("deleted", version.deleted)) if holds]
        message = f": {version.message}" if version.message else ""
        said = f"version {version.version}, {moment(version.at)}, {version.op} by {_who(version.origin)}{message}"
        paper.head(f"{said}{' (' + ', '.join(marks) + ')' if marks else ''}")
        older = found.versions[place + 1] if place + 1 < len(found.versions) else None
        if older is None and found.cursor is not None:
            paper.line(
                f"{len(version.observations)} observations; older versions: --before {version.version}", "dim", indent=2
            )
            continue
        for sign, text in _differences(version, older):
            paper.line(f"{sign} {text}", "green" if sign == "+" else "red", indent=2)
    for change in found.relations:
        edge = change.relation
        paper.line(
            f"{moment(change.at)}, relation {change.act} by {_who(change.origin)}: {edge.from_} → {edge.type} → {edge.to}",
            "cyan",
        )


def _differences(new: Version, old: Version | None) -> Iterable[tuple[str, str]]:
    """What came and what went, in lines."""
    now, before = _says(new), _says(old) if old else []
    for text in before:
        if text not in now:
            yield "-", text
    for text in now:
        if text not in before:
            yield "+", text


def _says(version: Version) -> list[str]:
    properties = [f"{key} = {msgspec.json.encode(value).decode()}" for key, value in version.properties.items()]
    return [
        f"name {version.name}, type {version.type}",
        *properties,
        *(f"tag {tag}" for tag in version.tags),
        *version.observations,
    ]


@verb(
    "access",
    "Show who asked for what, newest first.",
    argument("--limit", "-n", type=positive, default=20, help="how many at most (20)"),
    argument("--before", type=positive, metavar="ROW", help="rows before this one: the cursor of --json"),
    argument("--op", dest="ops", action="append", default=[], metavar="OPERATION", help="calls of this operation"),
    argument("--by-agent", metavar="AGENT", help="calls by this agent"),
    argument("--session", help="calls in this session"),
    argument("--failed", action="store_true", default=None, help="calls that failed"),
    argument("--since", type=since, metavar="TIME", help="calls since: 2026-11-21, today, 2h, 3d, 1w"),
)
def access(call: Call) -> Answer:
    """Show the access log."""
    given = call.given
    page = call.memory.access_log(
        limit=given.limit,
        before=given.before,
        ops=given.ops,
        agent=given.by_agent,
        session=given.session,
        failed=given.failed,
        since=given.since,
    )
    return Answer(page, lambda paper: _tell_access(paper, page))


def _tell_access(paper: Paper, page: AccessPage) -> None:
    if not page.rows:
        paper.line("None.")
        return
    rows = [
        (
            moment(row.at),
            row.op,
            "ok" if row.ok else row.error or "failed",
            f"{row.ms:.1f}",
            _who(row.origin),
            f"{row.pid}",
            row.space,
        )
        for row in page.rows
    ]
    paper.table(("when", "operation", "result", "ms", "who", "pid", "space"), rows)
