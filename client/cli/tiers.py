"""Verbs about how long and in which tier memories are kept."""

from enhanced_memory.client.cli.declare import BY_NAME, TIERS, Answer, Call, argument, verb
from enhanced_memory.client.operations.curation import Expired, Promoted


@verb(
    "promote",
    "Put an entity into a tier by hand, up or down.",
    argument("name", metavar="NAME", help="an entity by name, or by id as '#12' or id:12"),
    argument("tier", choices=TIERS, metavar="TIER", help="working, episodic, semantic or procedural"),
    BY_NAME,
    argument("--message", "-m", default="", help="why; kept with the change"),
)
def promote(call: Call) -> Answer:
    """`undo` takes it back."""
    given = call.given
    done = call.memory.promote_to_tier(call.ref(given.name), given.tier, message=given.message)
    return Answer(done, lambda paper: paper.line(_in_words(done)))


def _in_words(done: Promoted) -> str:
    if done.action == "unchanged":
        return f"#{done.id} {done.name}: {done.tier} already"
    return f"#{done.id} {done.name}: {done.before} → {done.tier} (version {done.version})"


@verb(
    "expire",
    "Delete what has expired now, softly, instead of waiting for the daemon to do so.",
    argument("--dry-run", action="store_true", help="only tell how much would go"),
)
def expire(call: Call) -> Answer:
    """What has expired is out of sight already; `restore` and `undo` bring it back."""
    done = call.memory.expire(dry_run=call.given.dry_run)
    ids, changes, count = list(done.ids), list(done.changes), done.count
    while done.more and not done.dry_run:
        done = call.memory.expire()
        count, ids, changes = count + done.count, ids + done.ids, changes + done.changes
    whole = Expired(ids, count, False, changes, done.dry_run, done.space)
    said = "would be deleted" if done.dry_run else "deleted"
    return Answer(whole, lambda paper: paper.line(f"{said}: {count:,} expired in {whole.space}"))
