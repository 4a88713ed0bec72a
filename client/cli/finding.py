"""Verbs that find: entities by words or by filters, messages by words or by where they stand."""

from enhanced_memory.client.cli.arguments import condition, positive, since, span
from enhanced_memory.client.cli.declare import BY_NAME, DETAILS, MOMENT, TIERS, Answer, Call, argument, verb
from enhanced_memory.client.cli.exits import Usage
from enhanced_memory.client.cli.output import Paper, moment
from enhanced_memory.client.operations.entities import EntityPage
from enhanced_memory.client.operations.search import MessageSearch, SearchResult
from enhanced_memory.client.operations.streams import Messages
from enhanced_memory.client.values import Entity, Message

FILTERS = (
    argument(
        "--type", dest="types", action="append", default=[], metavar="TYPE", help="of this type; again: or of that one"
    ),
    argument(
        "--tier", dest="tiers", action="append", default=[], choices=TIERS, help="in this tier; again: or in that one"
    ),
    argument(
        "--tag", dest="tags", action="append", default=[], metavar="TAG", help="with this tag; again: and that one"
    ),
    argument(
        "--where",
        action="append",
        default=[],
        type=condition,
        metavar="CONDITION",
        help="key=value, key>=3, key<=3, 'key in a,b', key (exists), !key (does not); again: and that one too",
    ),
    argument("--since", type=since, metavar="TIME", help="changed since: 2026-11-21, today, 2h, 3d, 1w"),
    argument("--until", type=since, metavar="TIME", help="changed until"),
)
STREAM_FILTERS = (
    argument("--role", dest="roles", action="append", default=[], help="messages with this role"),
    argument(
        "--kind", dest="kinds", action="append", default=[], help="messages of this kind: dialogue, reflection, …"
    ),
    argument("--speaker", dest="speakers", action="append", default=[], help="messages by this speaker"),
)


@verb(
    "search",
    "Find entities (or messages) by words, best first.",
    argument("words", nargs="+", metavar="WORD", help="words or a sentence"),
    argument("--limit", "-n", type=positive, default=10, help="how many at most (10)"),
    *FILTERS,
    argument("--session", help="what was said in this session"),
    argument("--by-agent", metavar="AGENT", help="what this agent said"),
    argument("--minimum-trust", choices=("user", "agent", "tool", "import"), help="nothing that is trusted less"),
    argument("--quarantined", action="store_true", help="quarantined ones too"),
    DETAILS,
    *MOMENT,
    argument("--messages", action="store_true", help="search messages, not entities"),
    argument("--stream", metavar="NAME", help="messages of this stream alone"),
    *STREAM_FILTERS,
    argument("--count", action="store_true", help="also say how many there are in all"),
    argument("--explain", action="store_true", help="also show what each score is made of"),
)
def search(call: Call) -> Answer:
    """With --messages the filters are --stream, --role, --kind, --speaker, --since and --until."""
    given = call.given
    query = " ".join(given.words)
    entity_filters = (
        "types",
        "tiers",
        "tags",
        "where",
        "session",
        "by_agent",
        "minimum_trust",
        "quarantined",
        "details",
        "valid_at",
    )
    message_filters = ("stream", "roles", "kinds", "speakers")
    wrong = [name for name in (entity_filters if given.messages else message_filters) if getattr(given, name)]
    if wrong:
        of = "entities" if given.messages else "messages: add --messages"
        raise Usage(f"--{wrong[0].removesuffix('s').replace('_', '-')} is a filter on {of}")
    if given.messages:
        stream = None if given.stream is None else call.ref(given.stream)
        lines = call.memory.search_messages(
            query,
            limit=given.limit,
            stream=stream,
            roles=given.roles,
            kinds=given.kinds,
            speakers=given.speakers,
            since=given.since,
            until=given.until,
            at=given.at,
            count=given.count,
            explain=given.explain,
        )
        return Answer(lines, lambda paper: _tell_messages_found(paper, lines))
    found = call.memory.search_nodes(
        query,
        limit=given.limit,
        types=given.types,
        tiers=given.tiers,
        tags=given.tags,
        where=given.where,
        since=given.since,
        until=given.until,
        session=given.session,
        agent=given.by_agent,
        minimum_trust=given.minimum_trust,
        quarantined=given.quarantined,
        details=given.details,
        at=given.at,
        valid_at=given.valid_at,
        count=given.count,
        explain=given.explain,
    )
    return Answer(found, lambda paper: _tell_found(paper, found))


def _tell_found(paper: Paper, found: SearchResult) -> None:
    if not found.hits:
        paper.line("Nothing found.")
        return
    rows = [
        (
            f"#{hit.entity.id}",
            hit.entity.name,
            hit.entity.type,
            f"{hit.score:.3f}",
            hit.snippet or (hit.entity.observations or [""])[0],
        )
        for hit in found.hits
    ]
    paper.table(("id", "name", "type", "score", "says"), rows)
    _tell_why(paper, {f"#{hit.entity.id}": hit.explained for hit in found.hits}, found.total)
    _tell_cut(paper, found.cut)


def _tell_messages_found(paper: Paper, found: MessageSearch) -> None:
    if not found.hits:
        paper.line("Nothing found.")
        return
    rows = [
        (
            f"{hit.message.id}",
            hit.stream,
            moment(hit.message.at),
            hit.message.speaker or hit.message.role,
            hit.snippet or hit.message.content,
        )
        for hit in found.hits
    ]
    paper.table(("message", "stream", "when", "who", "says"), rows)
    _tell_why(paper, {f"{hit.message.id}": hit.explained for hit in found.hits}, found.total)
    _tell_cut(paper, found.cut)


def _tell_why(paper: Paper, explained: dict[str, dict[str, float]], total: int | None) -> None:
    """What the scores are made of and how many there are, where that was asked for."""
    for which, parts in explained.items():
        if parts:
            paper.line(f"{which}: " + ", ".join(f"{name} {value:.3f}" for name, value in parts.items()), "dim")
    if total is not None:
        paper.line(f"{total:,} in all hold a word of it.")


def _tell_cut(paper: Paper, cut: bool) -> None:
    if cut:
        paper.line("There are more: raise --limit.", "dim")


@verb(
    "list",
    "List entities, filtered and in order.",
    *FILTERS,
    argument("--scope", help="in this scope; '' is the ordinary one"),
    argument("--pinned", action="store_true", default=None, help="that are part of every context"),
    argument("--quarantined", action="store_true", default=None, help="that searches leave out"),
    argument("--deleted", action="store_true", help="that were deleted and can be restored"),
    argument("--order", default="id", metavar="KEY", help="id, name, updated, created, priority or property:KEY"),
    argument("--reverse", "-r", action="store_true", help="the last first"),
    argument("--limit", "-n", type=positive, default=100, help="how many at most (100)"),
    argument("--all", action="store_true", help="all of them, however many pages that takes"),
    argument("--cursor", help="where the next page begins, from --json"),
    MOMENT[0],
    DETAILS,
)
def list_(call: Call) -> Answer:
    """List entities."""
    given = call.given
    entities: list[Entity] = []
    cursor: str | None = given.cursor
    while True:
        page = call.memory.list_entities(
            types=given.types,
            tiers=given.tiers,
            tags=given.tags,
            where=given.where,
            scope=given.scope,
            always_include=given.pinned,
            quarantined=given.quarantined,
            deleted=given.deleted,
            updated_since=given.since,
            updated_until=given.until,
            order_by=given.order,
            descending=given.reverse,
            limit=1000 if given.all else given.limit,
            cursor=cursor,
            details=given.details,
            at=given.at,
        )
        entities += page.entities
        cursor = page.cursor
        if cursor is None or not given.all:
            break
    every = EntityPage(entities, cursor, page.space)
    return Answer(every, lambda paper: _tell_list(paper, every))


def _tell_list(paper: Paper, page: EntityPage) -> None:
    if not page.entities:
        paper.line("None.")
        return
    rows = [
        (
            f"#{each.id}",
            each.name,
            each.type,
            each.tier,
            f"{each.priority}",
            f"{len(each.observations)}",
            moment(each.updated_at),
        )
        for each in page.entities
    ]
    paper.table(("id", "name", "type", "tier", "priority", "observations", "changed"), rows)
    _tell_next(paper, page.cursor)


def _tell_next(paper: Paper, cursor: str | None) -> None:
    if cursor is not None:
        paper.line("There are more: raise --limit, or give --all.", "dim")


@verb(
    "messages",
    "Show the messages of a stream, oldest first.",
    argument("stream", metavar="STREAM", help="a stream by name, or by id as '#12' or id:12"),
    BY_NAME,
    argument(
        "--limit",
        "-n",
        type=positive,
        default=20,
        help="how many at most (20): the newest, or with --from-start the oldest",
    ),
    argument("--before", type=positive, metavar="MESSAGE", help="the newest before this message's id"),
    *STREAM_FILTERS,
    argument("--tick", type=span, metavar="TICKS", help="of these ticks: 5, 5..9, 5.., ..9"),
    argument("--since", type=since, metavar="TIME", help="said since: 2026-11-21, today, 2h, 3d, 1w"),
    argument("--until", type=since, metavar="TIME", help="said until"),
    argument("--order", choices=("id", "tick", "at"), help="in the order of ids, ticks or times"),
    argument("--from-start", action="store_true", help="begin with the oldest"),
    argument("--cursor", help="where the next page begins, from --json (the same filters must be given)"),
)
def messages(call: Call) -> Answer:
    """Show messages."""
    given = call.given
    stream = call.ref(given.stream)
    conditions = (given.tick, given.since, given.until, given.order, given.from_start, given.cursor, given.speakers)
    if not any(conditions):
        recent = call.memory.recent_messages(
            stream, limit=given.limit, before=given.before, roles=given.roles, kinds=given.kinds
        )
        return Answer(recent, lambda paper: _tell_messages(paper, recent.messages))
    if given.before is not None:
        raise Usage("--before goes with --role and --kind alone", "use --cursor, or --until")
    first, last = given.tick or (None, None)
    found = call.memory.messages_by(
        stream,
        tick_from=first,
        tick_to=last,
        since=given.since,
        until=given.until,
        roles=given.roles,
        kinds=given.kinds,
        speakers=given.speakers,
        order_by=given.order or ("tick" if given.tick else "id"),
        newest_first=not given.from_start,
        limit=given.limit,
        cursor=given.cursor,
    )
    in_order = found.messages if given.from_start else found.messages[::-1]
    answer = Messages(in_order, found.cursor, found.space)
    return Answer(answer, lambda paper: _tell_messages(paper, in_order))


def _tell_messages(paper: Paper, found: list[Message]) -> None:
    if not found:
        paper.line("None.")
    for message in found:
        who = message.speaker if message.speaker in ("", message.role) else f"{message.role} {message.speaker}"
        tick = "" if message.tick is None else f"  tick {message.tick}"
        kind = "" if message.kind == "dialogue" else f"  {message.kind}"
        paper.head(f"{message.id}  {moment(message.at)}  {who or message.role}{kind}{tick}")
        paper.line(message.content, indent=2)
