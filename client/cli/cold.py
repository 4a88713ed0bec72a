"""Verbs about room: archiving out of the store, looking at what lies there, and giving free room back."""

from enhanced_memory.client.cli.arguments import condition, positive
from enhanced_memory.client.cli.declare import BY_NAME, LONG_S, Answer, Call, argument, verb
from enhanced_memory.client.cli.exits import OK, PROBLEM, Usage
from enhanced_memory.client.cli.output import Paper, moment, size, warn
from enhanced_memory.client.cli.progress import progress
from enhanced_memory.client.operations.cold import Archival, ArchivedPage, ArchiveEntities, Vacuum


@verb(
    "cold",
    "Archive entities out of the store into files beside it; list and read what lies there.",
    argument("does", choices=("archive", "list"), metavar="ACT", help="archive or list"),
    argument("names", nargs="*", metavar="NAME", help="entities by name, or by id as '#12' or id:12"),
    BY_NAME,
    argument("--type", dest="types", action="append", default=[], help="of this type; again: or of that one"),
    argument("--tag", dest="tags", action="append", default=[], help="with this tag; again: and that one"),
    argument("--where", type=condition, action="append", default=[], help="archive: a condition on a property"),
    argument("--unused", type=float, metavar="DAYS", help="archive: neither changed nor read for so many days"),
    argument("--dry-run", action="store_true", help="archive: only tell what would go"),
    argument("--part", default="", help="list: a part of the name"),
    argument("--containing", default="", help="list: a text in what they said (opens the files)"),
    argument("--contents", action="store_true", help="list: with what each last said"),
    argument("--limit", "-n", type=positive, default=1000, help="how many at most (1000)"),
    argument("--message", "-m", default="", help="why; kept with the change"),
)
def cold(call: Call) -> Answer:
    """`restore` brings what lies there back, `purge` removes it for good, `export` and `verify` reach it. A backup does not hold the
    files: copy their folder, too.
    """
    given = call.given
    refs = call.refs(given.names)
    if given.does == "list":
        page = call.memory.list_archived(
            refs, types=given.types, tags=given.tags, name=given.part, containing=given.containing,
            contents=given.contents, limit=min(given.limit, 1000),
        )  # fmt: skip
        return Answer(page, lambda paper: _tell_page(paper, page), PROBLEM if page.missing else OK)
    if not refs and not given.types and not given.tags and not given.where and given.unused is None:
        raise Usage("it is not said what to archive", "name entities, or give --type, --tag, --where or --unused")
    ask = ArchiveEntities(
        refs, given.types, given.tags, given.where, given.unused, given.limit, given.dry_run, given.message
    )
    with progress("archiving"):
        done = call.memory.send(ask, timeout_s=max(LONG_S, call.settings.timeout_s))
    return Answer(done, lambda paper: _tell_done(paper, done), PROBLEM if done.missing else OK)


def _tell_done(paper: Paper, done: Archival) -> None:
    paper.line(
        f"{'would go' if done.dry_run else 'archived'}: {len(done.ids):,} entities, {done.versions:,} versions,"
        f" {done.messages:,} messages" + (f", {size(done.bytes)} in {len(done.files)} files" if done.files else "")
    )
    for entity, why in done.kept.items():
        paper.line(f"#{entity} stays: {why}", "dim")
    if done.more:
        paper.line("There are more: raise --limit, or call it again.", "dim")
    for ref in done.missing:
        warn(f"{ref} is not there")


def _tell_page(paper: Paper, page: ArchivedPage) -> None:
    rows = [
        (f"#{one.id}", one.name, one.type, f"{one.versions}", f"{one.messages}", moment(one.archived_at), one.file)
        for one in page.entities
    ]
    paper.table(("id", "name", "type", "versions", "messages", "archived", "file"), rows)
    for one in page.entities:
        if one.entity is not None:
            paper.head(f"#{one.id} {one.name}")
            for text in one.entity.observations:
                paper.line(text, indent=2)
        if one.problem:
            warn(one.problem)
    if page.cursor:
        paper.line("There are more: raise --limit.", "dim")
    for ref in page.missing:
        warn(f"{ref} is not in cold storage")


@verb("vacuum", "Write the store anew without free room, its words index merged.")
def vacuum(call: Call) -> Answer:
    """Changes wait meanwhile: seconds in a large store. As much room on disk is needed again."""
    with progress("writing anew"):
        done = call.memory.send(Vacuum(), timeout_s=max(LONG_S, call.settings.timeout_s))
    said = f"{size(done.before)} before, {size(done.after)} after, in {done.seconds:.1f} s"
    return Answer(done, lambda paper: paper.line(f"nothing done: {done.problem}" if done.problem else said))
