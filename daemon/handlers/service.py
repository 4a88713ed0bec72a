"""The service itself: greeting, status, access log, subscriptions, as far as the store can say. `daemon/service.py` adds what it cannot."""

from typing import Any

from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.operations.service import (
    AccessLog,
    AccessPage,
    CurationStatus,
    GetMemoryStatus,
    Hello,
    Status,
    Subscribe,
    Subscribed,
    Unsubscribe,
    Welcome,
)
from enhanced_memory.client.wire import PROTOCOL
from enhanced_memory.daemon import VERSION
from enhanced_memory.daemon.confinement import narrow
from enhanced_memory.daemon.curation.ahead import above_limit, settled
from enhanced_memory.daemon.handlers.filters import as_json
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.text import check_name, check_text
from enhanced_memory.daemon.times import millis, moment_or_none

CHANNELS = ("socket", "mcp", "http", "cli", "code", "import", "extraction")


@Hello.handler
def hello(tx: Tx, ask: Hello) -> Welcome:
    """Note who asks, for all that follows on this connection."""
    if ask.protocol != PROTOCOL:
        raise Invalid(
            f"This daemon speaks protocol {PROTOCOL}, the client {ask.protocol}.",
            "install the same version on both sides",
        )
    for what, text in (
        ("client", ask.client),
        ("agent", ask.agent),
        ("session", ask.session),
        ("channel", ask.channel),
    ):
        check_text(text, f"The {what}'s name", 200)
    check_name(ask.space, "The space's name", 200)
    if ask.channel not in CHANNELS:
        raise Invalid(f"The channel {ask.channel[:40]!r} is not known.", f"use one of {', '.join(CHANNELS)}")
    peer = tx.call.peer
    for space in ask.behalf.spaces if ask.behalf is not None else ():
        check_name(space, "A space's name", 200)
    peer.confined = narrow(peer, ask)
    peer.client, peer.agent, peer.session = ask.client, ask.agent, ask.session
    peer.channel, peer.space, peer.parent = ask.channel, ask.space, ask.parent
    if ask.behalf is not None:
        # What the system proves stays in front of what the client says; rights are only ever narrowed.
        peer.user = (
            f"{peer.user.split('/')[0]}/{check_text(ask.behalf.user, 'The user', 200)}"
            if ask.behalf.user
            else peer.user
        )
        peer.read_only = peer.read_only or (bool(ask.behalf.scopes) and "write" not in ask.behalf.scopes)
    peer.greeted = True
    limits = {
        name: getattr(tx.settings, name)
        for name in ("max_frame_bytes", "max_pending", "max_name_chars", "max_text_chars")
    }
    # Where the store lies and which process serves it is told by the daemon, which knows.
    return Welcome("enhanced-memory", VERSION, PROTOCOL, 0, "", "", peer.space, limits, ["events", "keys", "words"])


@GetMemoryStatus.handler
def get_memory_status(tx: Tx, ask: GetMemoryStatus) -> Status:
    """What the store holds; the daemon adds how it fares itself."""
    # A confined caller is told of what it sees, and nothing of what else the store holds.
    confined = tx.call.peer.confined
    counts = tx.log.counts([layer.space for layer in tx.view.layers] if confined else None)
    living = tx.census.living()
    saved = 1 - counts["body_bytes"] / counts["body_text_bytes"] if counts["body_text_bytes"] else 0.0
    backup = None if confined else tx.log.last_backup()
    return Status(
        server=VERSION,
        store="",
        engine="",
        space=tx.space_name,
        total_entities=counts["entities"],
        entities=living.count,
        relations=counts["relations"],
        messages=counts["messages"],
        versions=counts["versions"] + counts["entities"],
        spaces=counts["spaces"],
        changes=counts["changes"],
        by_type=living.types,
        by_tier=living.tiers,
        file_bytes=0,
        wal_bytes=0,
        body_bytes=counts["body_bytes"],
        body_text_bytes=counts["body_text_bytes"],
        compression=round(saved, 4),
        search="names and words",
        uptime_s=0.0,
        pid=0,
        memory_mb=0.0,
        connections=0,
        requests=0,
        last_backup=moment_or_none(backup[0] if backup else None),
        by_space={name: size for name, size in tx.spaces.sizes().items() if not confined or name in confined},
        by_age=living.ages,
        expiring=tx.census.expiring(),
        curation=_curation(tx),
    )


def _curation(tx: Tx) -> CurationStatus:
    """What was curated last in this space, and what comes next; the daemon adds what keeps it from it."""
    mode, mark = tx.settings.curation, tx.tended.mark()
    space = tx.spaces.find(tx.space_name)
    following: int | None = None
    if mode != "off" and space is not None and space.kind == "space":
        following = max(
            tx.now, (mark.at if mark else tx.tended.made_at()) + int(tx.settings.curation_every_h * 3_600_000)
        )
    found = {rule: count for rule, count in mark.counts.items() if mark.dry_run} if mark else {}
    found |= {"to_episodic": settled(tx), "size_limit": above_limit(tx)}
    return CurationStatus(
        mode, moment_or_none(mark.at if mark else None), mark.dry_run if mark else False, mark.counts if mark else {},
        mark.left if mark else 0, mark.session if mark else "", moment_or_none(following),
        {rule: count for rule, count in found.items() if count},
    )  # fmt: skip


@AccessLog.handler
def access_log(tx: Tx, ask: AccessLog) -> AccessPage:
    """Newest first."""
    names: list[str] = []
    values: dict[str, Any] = {}
    for name, key, value in (
        ("access_before", "before", ask.before),
        ("access_ops", "ops", as_json(ask.ops) if ask.ops else None),
        ("access_agent", "agent", ask.agent),
        ("access_session", "session", ask.session),
        ("access_since", "since", millis(ask.since, "since") if ask.since else None),
        ("access_entity", "entity", ask.entity),
        ("access_space", "only", ask.space),
    ):
        if value is not None:
            names.append(name)
            values[key] = value
    if ask.failed is not None:
        names.append("access_failed" if ask.failed else "access_good")
    rows = tx.log.access(*names, limit=ask.limit + 1, **values)
    page = rows[: ask.limit]
    return AccessPage([row for _, row in page], page[-1][0] if len(rows) > ask.limit else None)


@Subscribe.handler
def subscribe(tx: Tx, ask: Subscribe) -> Subscribed:
    """Events begin with the next change."""
    peer = tx.call.peer
    peer.watched = frozenset(tx.entities.get(ref).id for ref in ask.entities)
    peer.seen = tx.view.live | {peer.space}
    peer.subscribed = True
    return Subscribed(tx.log.last_change())


@Unsubscribe.handler
def unsubscribe(tx: Tx, ask: Unsubscribe) -> Subscribed:
    """No more events."""
    tx.call.peer.subscribed = False
    return Subscribed(tx.log.last_change())
