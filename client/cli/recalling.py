"""Verbs that recall by more than words: the context of a turn, and the graph."""

from enhanced_memory.client.cli.arguments import positive
from enhanced_memory.client.cli.declare import BY_NAME, Answer, Call, argument, verb
from enhanced_memory.client.cli.output import Paper
from enhanced_memory.client.operations.relations import Neighbourhood, Path
from enhanced_memory.client.operations.search import Context

FOLLOWED = (
    argument("--type", dest="types", action="append", default=[], metavar="TYPE", help="over relations of this type; again: or of that one"),
    argument("--direction", choices=("out", "in", "both"), default="both", help="follow relations forwards, backwards, or both (both)"),
)  # fmt: skip


@verb(
    "context",
    "Show what is worth knowing for a turn, within a token budget.",
    argument("words", nargs="*", metavar="WORD", help="what it is about; without, the last message of --stream"),
    argument("--stream", metavar="NAME", help="with the last messages of this stream"),
    argument("--entity", dest="entities", action="append", default=[], metavar="NAME", help="with the state of this entity; again: and that one"),
    argument("--tokens", type=positive, default=2000, help="the budget (2000)"),
    argument("--recent", type=positive, default=20, help="messages of the stream at most (20)"),
    argument("--relevant", type=positive, default=20, help="found things at most (20)"),
)  # fmt: skip
def context(call: Call) -> Answer:
    """As text it can be given to a model as it is."""
    given = call.given
    found = call.memory.get_context(
        " ".join(given.words),
        stream=None if given.stream is None else call.ref(given.stream),
        entities=[call.ref(one) for one in given.entities],
        tokens=given.tokens,
        recent=given.recent,
        relevant=given.relevant,
    )
    return Answer(found, lambda paper: _tell_context(paper, found))


def _tell_context(paper: Paper, found: Context) -> None:
    for line in found.text.splitlines() or ["Nothing."]:
        paper.line(line)
    left = f"; {found.left_off} more did not fit" if found.left_off else ""
    paper.line(f"{found.tokens} tokens ({found.counted_by}){left}", "dim")


@verb(
    "related",
    "Show the entities that relations lead to, nearest first.",
    argument("entity", metavar="NAME", help="an entity by name, or by id as '#12' or id:12"),
    BY_NAME,
    argument("--depth", type=positive, default=1, help="within so many steps (1)"),
    *FOLLOWED,
    argument("--limit", "-n", type=positive, default=100, help="how many at most (100)"),
)
def related(call: Call) -> Answer:
    """Show what is around."""
    given = call.given
    found = call.memory.find_related(
        call.ref(given.entity), depth=given.depth, types=given.types, direction=given.direction, limit=given.limit
    )
    return Answer(found, lambda paper: _tell_related(paper, found))


def _tell_related(paper: Paper, found: Neighbourhood) -> None:
    if not found.found:
        paper.line("None.")
        return
    rows = [(f"{one.distance}", f"#{one.entity.id}", one.entity.name, one.entity.type) for one in found.found]
    paper.table(("steps", "id", "name", "type"), rows)
    for edge in found.relations:
        paper.line(f"{edge.from_} {edge.type} {edge.to}", "dim")
    if found.cut:
        paper.line("There are more: raise --limit, or narrow --type.", "dim")


@verb(
    "path",
    "Show a shortest way between two entities over relations.",
    argument("from_", metavar="FROM", help="an entity by name, or by id as '#12' or id:12"),
    argument("to", metavar="TO", help="the other one"),
    BY_NAME,
    argument("--max-depth", type=positive, default=6, help="of so many steps at most (6)"),
    *FOLLOWED,
)
def path(call: Call) -> Answer:
    """Show the way."""
    given = call.given
    found = call.memory.find_path(
        call.ref(given.from_),
        call.ref(given.to),
        max_depth=given.max_depth,
        types=given.types,
        direction=given.direction,
    )
    return Answer(found, lambda paper: _tell_path(paper, found))


def _tell_path(paper: Paper, found: Path) -> None:
    if not found.entities:
        paper.line("No way was found" + (" before the search ended at its bound." if found.cut else "."))
        return
    paper.line(found.entities[0].name)
    for edge, there in zip(found.relations, found.entities[1:], strict=True):
        arrow = f"— {edge.type} →" if edge.to_id == there.id else f"← {edge.type} —"
        paper.line(f"{arrow} {there.name}", indent=2)
