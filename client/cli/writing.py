"""Verbs that write: entities, tags, relations, spaces."""

import sys
from typing import Any

from enhanced_memory.client.cli.arguments import later, pair
from enhanced_memory.client.cli.declare import BY_NAME, REFS, TIERS, Answer, Call, argument, verb
from enhanced_memory.client.cli.exits import OK, PROBLEM, Usage
from enhanced_memory.client.cli.output import Paper, moment
from enhanced_memory.client.errors import NotFound
from enhanced_memory.client.operations.entities import Created, ObservationsInput, Removed
from enhanced_memory.client.operations.spaces import SpaceList
from enhanced_memory.client.values import (
    EntityInput,
    ObservationInput,
    OriginInput,
    Outcome,
    Ref,
    Relation,
    RelationInput,
    Space,
)

MESSAGE = argument("--message", "-m", default="", metavar="WHY", help="why; kept in the history")


@verb(
    "add",
    "Remember something: make an entity, or add observations to one.",
    argument("name", metavar="NAME", help="the entity; one that exists may be given by id, too"),
    argument("observations", nargs="*", metavar="OBSERVATION", help="what to remember; - reads lines from stdin"),
    BY_NAME,
    argument("--type", "-t", help="what it is: person, project, …; needed for a new entity"),
    argument(
        "--property",
        "-p",
        dest="properties",
        action="append",
        default=[],
        type=pair,
        metavar="KEY=VALUE",
        help="a property; again: another",
    ),
    argument("--tag", dest="tags", action="append", default=[], help="a tag; again: another"),
    argument("--tier", choices=TIERS, help="the tier of a new entity"),
    argument("--priority", type=int, help="1 to 10"),
    argument("--importance", type=float, help="0 to 10"),
    argument("--confidence", type=float, help="how sure the observations are: 0 to 1"),
    argument("--trust", choices=("user", "agent", "tool", "import"), help="where the observations come from"),
    argument("--pin", action="store_true", default=None, help="part of every context"),
    argument("--expires", type=later, metavar="TIME", help="when it may go: 30d, 2027-01-01"),
    argument(
        "--on-existing",
        choices=("merge", "skip", "replace", "error"),
        default="merge",
        help="what if the name exists (merge)",
    ),
    MESSAGE,
)
def add(call: Call) -> Answer:
    """Without --type the entity must exist; only observations can be added then."""
    given = call.given
    texts: list[str] = []
    for text in given.observations:
        texts += (line for line in sys.stdin.read().splitlines() if line.strip()) if text == "-" else [text]
    origin = OriginInput(trust=given.trust) if given.trust else None
    plain = origin is None and given.confidence is None
    contents: list[str | ObservationInput] = [
        text if plain else ObservationInput(text, confidence=given.confidence, origin=origin) for text in texts
    ]
    if given.type is None:
        return _add_to_existing(call, contents)
    name = call.ref(given.name)
    if not isinstance(name, str):
        raise Usage("a new entity is given by name, not by id", "leave --type away, or give --by-name")
    properties: dict[str, Any] = dict(given.properties)
    entity = EntityInput(
        name,
        given.type,
        contents,
        properties,
        given.tags,
        tier=given.tier,
        priority=given.priority,
        importance=given.importance,
        always_include=given.pin,
        expires_at=given.expires,
    )
    made = call.memory.create_entities([entity], on_existing=given.on_existing, message=given.message)
    return _outcomes(made)


def _add_to_existing(call: Call, contents: list[str | ObservationInput]) -> Answer:
    given = call.given
    beside = ("properties", "tags", "tier", "priority", "importance", "pin", "expires")
    if not contents or any(getattr(given, name) for name in beside):
        raise Usage("--type is missing", "without it only observations can be added, to an entity that exists")
    try:
        made = call.memory.add_observations([ObservationsInput(call.ref(given.name), contents)], message=given.message)
    except NotFound as problem:
        raise NotFound(problem.message, "give --type to make a new entity") from None
    return _outcomes(made)


def _outcomes(made: Created) -> Answer:
    return Answer(made, lambda paper: _tell_outcomes(paper, made.results))


def _tell_outcomes(paper: Paper, results: list[Outcome]) -> None:
    for each in results:
        added = f", {len(each.added)} added" if each.added else ""
        paper.line(f"{each.action}: #{each.id} {_quoted(each.name)}, version {each.version}{added}")


def _quoted(name: str) -> str:
    return name.replace("\r", "\\r").replace("\n", "\\n")


@verb("forget", "Delete entities and their relations; `restore` brings both back.", REFS, BY_NAME, MESSAGE)
def forget(call: Call) -> Answer:
    """The exit code is 1 where something named does not exist; what does is deleted all the same."""
    gone = call.memory.delete_entities(call.refs(call.given.names), message=call.given.message)
    return Answer(gone, lambda paper: _tell_removed(paper, gone), PROBLEM if gone.missing else OK)


def _tell_removed(paper: Paper, gone: Removed) -> None:
    if gone.ids:
        ids = " ".join(f"id:{each}" for each in gone.ids)
        paper.line(f"forgotten: {len(gone.ids)}; `memoryctl restore {ids}` brings back what was there")
    _tell_missing(paper, gone.missing)


def _tell_missing(paper: Paper, missing: list[Ref]) -> None:
    for name in missing:
        paper.line(f"not there: {f'#{name}' if isinstance(name, int) else _quoted(name)}", "yellow")


@verb(
    "restore",
    "Bring deleted entities back, with the relations that went with them.",
    REFS,
    BY_NAME,
    argument("--as", dest="as_name", metavar="NAME", help="under another name, where the old one is taken"),
    MESSAGE,
)
def restore(call: Call) -> Answer:
    """A name means the entity deleted last under it."""
    given = call.given
    return _outcomes(call.memory.restore_entities(call.refs(given.names), as_name=given.as_name, message=given.message))


@verb(
    "purge",
    "Remove entities for good, with their history; nothing brings them back.",
    REFS,
    BY_NAME,
    argument("--yes", action="store_true", help="needed: there is no way back"),
)
def purge(call: Call) -> Answer:
    """Backups that were made before still hold what is purged; the answer names those that are known."""
    if not call.given.yes:
        raise Usage("purge cannot be undone and was not confirmed", "give --yes, or use `forget`, which can be undone")
    receipt = call.memory.purge_entities(call.refs(call.given.names), confirm=True)

    def tell(paper: Paper) -> None:
        paper.facts(
            [("purged", f"{len(receipt.ids)}"), *((table, f"{rows} rows") for table, rows in receipt.removed.items())]
        )
        paper.facts([("receipt", receipt.sha256), *(("still in", path) for path in receipt.backups)])
        _tell_missing(paper, receipt.missing)

    return Answer(receipt, tell, PROBLEM if receipt.missing else OK)


@verb(
    "rename",
    "Give an entity another name; its relations and history follow.",
    argument("name", metavar="NAME", help="an entity by name, or by id as '#12' or id:12"),
    argument("new_name", metavar="NEW-NAME", help="its new name"),
    BY_NAME,
    MESSAGE,
)
def rename(call: Call) -> Answer:
    """Rename an entity."""
    given = call.given
    outcome = call.memory.rename_entity(call.ref(given.name), given.new_name, message=given.message)
    return Answer(outcome, lambda paper: _tell_outcomes(paper, [outcome]))


TAGS = argument("--tag", "-t", dest="tags", action="append", required=True, help="the tag; again: another")


@verb("tag", "Add tags to entities.", REFS, BY_NAME, TAGS)
def tag(call: Call) -> Answer:
    """Add tags."""
    return _outcomes(call.memory.tag(call.refs(call.given.names), call.given.tags))


@verb("untag", "Take tags from entities.", REFS, BY_NAME, TAGS)
def untag(call: Call) -> Answer:
    """Take tags away."""
    return _outcomes(call.memory.untag(call.refs(call.given.names), call.given.tags))


EDGE = (
    argument("start", metavar="FROM", help="where the relation starts: a name, '#12' or id:12"),
    argument("type", metavar="TYPE", help="the relation, in the active voice: works_at"),
    argument("end", metavar="TO", help="where it ends"),
    BY_NAME,
)


@verb(
    "relate",
    "Relate two entities: FROM works_at TO.",
    *EDGE,
    argument("--strength", type=float, default=1.0, help="0 to 1"),
    MESSAGE,
)
def relate(call: Call) -> Answer:
    """An end that is given by name need not exist yet."""
    given = call.given
    edge = RelationInput(call.ref(given.start), call.ref(given.end), given.type, strength=given.strength)
    made = call.memory.create_relations([edge], message=given.message)

    def tell(paper: Paper) -> None:
        for word, relations in (("created", made.created), ("there already", made.existing)):
            for each in relations:
                paper.line(f"{word}: {_edge(each)}")

    return Answer(made, tell)


def _edge(relation: Relation) -> str:
    return " → ".join(_quoted(part) for part in (relation.from_, relation.type, relation.to))


@verb("unrelate", "Remove a relation.", *EDGE, MESSAGE)
def unrelate(call: Call) -> Answer:
    """The exit code is 1 where there was no such relation."""
    given = call.given
    edge = RelationInput(call.ref(given.start), call.ref(given.end), given.type)
    gone = call.memory.delete_relations([edge], message=given.message)
    return Answer(gone, lambda paper: paper.line(f"removed: {gone.removed}"), OK if gone.removed else PROBLEM)


@verb(
    "spaces",
    "List spaces, make one, limit one, or take one out of use.",
    argument(
        "action", nargs="?", choices=("list", "create", "limit", "delete"), default="list", help="what to do (list)"
    ),
    argument("name", nargs="?", metavar="NAME", help="the space to create, limit or delete"),
    argument("--max-entities", type=int, metavar="N", help="limit: how many entities it may hold; 0: any number"),
    argument("--max-text", type=int, metavar="BYTES", help="limit: how much text it may hold; 0: any"),
    argument("--parent", metavar="NAME", help="the space that the new one reads through to"),
    argument("--deleted", action="store_true", help="list deleted ones too"),
)
def spaces(call: Call) -> Answer:
    """A deleted space keeps its memories; `spaces create` of the same name brings them back."""
    given = call.given
    if (given.action == "list") is not (given.name is None):
        raise Usage(f"spaces {given.action} takes {'no name' if given.name else 'a name'}")
    if given.action == "create":
        made = call.memory.create_space(given.name, parent=given.parent)
        return Answer(made, lambda paper: _tell_spaces(paper, [made], ""))
    if given.action == "limit":
        return _limited(call)
    if given.action == "delete":
        gone = call.memory.delete_space(given.name)
        return Answer(gone, lambda paper: _tell_spaces(paper, [gone], ""))
    found: SpaceList = call.memory.list_spaces(deleted=given.deleted)
    return Answer(found, lambda paper: _tell_spaces(paper, found.spaces, found.current))


def _limited(call: Call) -> Answer:
    """What is above the limit goes with the next curation."""
    given = call.given
    limits = {"max_entities": given.max_entities, "max_text_bytes": given.max_text}
    if all(limit is None for limit in limits.values()):
        raise Usage("spaces limit says no limit", "give --max-entities or --max-text")
    said = {name: limit or None for name, limit in limits.items() if limit is not None}
    space = call.memory.update_space(given.name, said)
    told = ", ".join(f"{name} {space.metadata[name]:,}" for name in limits if name in space.metadata) or "no limit"
    return Answer(space, lambda paper: paper.line(f"{space.name}: {told}; `memoryctl curate` tells what goes"))


def _tell_spaces(paper: Paper, found: list[Space], current: str) -> None:
    rows = [
        (
            "*" if each.name == current else "",
            each.name,
            each.kind + (", deleted" if each.deleted else ""),
            (each.parent or "–") + (f" at {each.pinned_at}" if each.pinned_at is not None else ""),
            moment(each.created_at),
        )
        for each in found
    ]
    paper.table(("", "name", "kind", "parent", "made"), rows)
