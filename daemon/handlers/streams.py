"""Streams: appending and reading messages, what a stream keeps, and what it comes to."""

from typing import Any

from enhanced_memory.client.errors import Conflict, Invalid, NotFound
from enhanced_memory.client.operations.streams import (
    Appended,
    AppendMessages,
    Archived,
    ArchiveMessages,
    GetWindow,
    KeepSummary,
    Messages,
    MessagesBy,
    RecentMessages,
    Retained,
    SetRetention,
    Summary,
    Window,
    WindowLine,
)
from enhanced_memory.client.values import Filter, Message, MessageInput
from enhanced_memory.daemon.handlers import cursors
from enhanced_memory.daemon.handlers.editing import copy
from enhanced_memory.daemon.handlers.filters import message_conditions, property_filters
from enhanced_memory.daemon.handlers.keeping import archive_upto, by_whom, keep, keep_as_own, kept, summed_up
from enhanced_memory.daemon.handlers.moments import stream_of
from enhanced_memory.daemon.kinds import kind_of
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import State
from enhanced_memory.daemon.store.known import Stored, shown
from enhanced_memory.daemon.text import check_data, check_name, check_text
from enhanced_memory.daemon.times import millis

CHARS_PER_TOKEN = 4
"""The estimate for messages that do not say their tokens."""

BEFORE = "What went before, in short: "
"""How a window's system line begins that holds its summary."""


@AppendMessages.handler
def append_messages(tx: Tx, ask: AppendMessages) -> Appended:
    """All of them, in the order given. What the stream does not keep any more is archived by the way."""
    for message in ask.messages:
        check_text(message.content, "A message", tx.settings.max_text_chars)
        for what, text in (
            ("role", message.role),
            ("kind", message.kind),
            ("speaker", message.speaker),
            ("provider", message.provider),
        ):
            check_text(text, f"A message's {what}", tx.settings.max_name_chars)
        check_name(message.role, "A message's role", tx.settings.max_name_chars)
        check_data(message.metadata, "A message's metadata", tx.settings.max_text_chars)
    stream = _stream(tx, ask)
    _admit(tx, stream, ask.messages)
    ids = tx.streams.append(stream.id, ask.messages)
    given = {number: message.vectors for number, message in zip(ids, ask.messages, strict=True) if message.vectors}
    if given:
        tx.vectors.give_messages(given)
    keep(tx, stream)
    return Appended(ids, stream.id, tx.space_name)


def _stream(tx: Tx, ask: AppendMessages) -> Stored:
    """The stream; an entity of its type is made for a name that is new. `NotFound` for one that was deleted."""
    if isinstance(ask.stream, int):
        return tx.entities.get(ask.stream)
    check_name(ask.stream, "The stream's name", tx.settings.max_name_chars)
    check_name(ask.stream_type, "The stream's type", tx.settings.max_name_chars)
    check_text(ask.scope, "The scope", tx.settings.max_name_chars)
    scope = ask.scope or (ask.stream_type if kind_of(ask.stream_type).scope == "type" else "")
    found = tx.entities.find(ask.stream, scope)
    if found is None and not ask.scope:
        found = tx.entities.find(ask.stream)
    if found is None:
        for gone in tx.entities.once_named(ask.stream):
            known = tx.entities.known(gone)
            if known is not None and known.deleted and known.state.name == ask.stream and known.scope == scope:
                # Whoever still speaks does not know of it: a new stream of that name would split what was said.
                raise NotFound(
                    f"The stream {shown(ask.stream)} was deleted.",
                    "bring it back with `restore_entities`, or begin another with `start_session` or `create_entities`",
                )
        state = State(ask.stream, ask.stream_type, [], kind_of(ask.stream_type).defaults)
        found = tx.entities.create(state, ask.scope)
        tx.relations.adopt(found.id, ask.stream)
    return found


def _admit(tx: Tx, stream: Stored, messages: list[MessageInput]) -> None:
    """Refuse what a stream does not take: anything once it has ended, roles and kinds that it does not know, ticks that go back."""
    said, kind = stream.state.properties, kind_of(stream.state.type)
    name = shown(stream.state.name)
    for mark, what, hint in (
        ("archived_at", "was archived", "take it up again with `archive_session` and `archived` false"),
        ("ended_at", "has ended", "open it again with `start_session`"),
    ):
        if said.get(mark):
            raise Conflict(f"The {stream.state.type} {name} {what} at {said[mark]}.", hint)
    taken: list[str] = said.get("message_kinds") or []
    tick = tx.archive.newest_tick(stream.id) if kind.ticks_rise else None
    for message in messages:
        if kind.roles and message.role not in kind.roles:
            raise Invalid(f"A {stream.state.type} has no role {message.role[:100]!r}.", f"use {', '.join(kind.roles)}")
        if taken and message.kind not in taken:
            raise Invalid(
                f"The stream {name} takes no messages of kind {message.kind[:100]!r}.",
                f"it takes {', '.join(map(str, taken[:20]))}",
            )
        if kind.ticks_rise and message.tick is not None:
            if tick is not None and message.tick < tick:
                raise Invalid(
                    f"Tick {message.tick} goes back: the {stream.state.type} {name} is at {tick}.",
                    "ticks of one life only rise; give the tick that it is now",
                )
            tick = message.tick


@RecentMessages.handler
def recent_messages(tx: Tx, ask: RecentMessages) -> Messages:
    """The newest, turned round so that they read in order."""
    conditions, values = message_conditions(ask.roles, ask.kinds, [])
    if ask.before is not None:
        conditions.append("before_message")
        values["before"] = ask.before
    known = stream_of(tx, ask.stream)
    if not ask.archived:
        _keep_to(tx, known, conditions, values, ask.limit)
    found = tx.streams.read(known.id, *conditions, down=True, limit=ask.limit, **values)
    return Messages(found[::-1], None, tx.space_name)


def _keep_to(tx: Tx, known: Stored, conditions: list[str], values: dict[str, Any], limit: int) -> None:
    """Add the conditions under which the stream has a message at hand."""
    said = known.state.properties
    if not conditions and limit <= said.get("keep_messages", 0) and not said.get("keep_days"):
        return  # the newest few are among those that it keeps
    more, needs = kept(tx, known)
    conditions += more
    values |= needs


@MessagesBy.handler
def messages_by(tx: Tx, ask: MessagesBy) -> Messages:
    """A page in the order asked for. Ordered by tick, messages without one are left out."""
    conditions, values = message_conditions(ask.roles, ask.kinds, ask.speakers, ask.since, ask.until)
    for name, value in (("tick_from", ask.tick_from), ("tick_to", ask.tick_to)):
        if value is not None:
            conditions.append(name)
            values[name] = value
    if ask.order_by == "tick":
        conditions.append("with_tick")
    if ask.cursor:
        values["beyond"], values["beyond_id"] = cursors.read(ask.cursor, int, int)
        conditions.append("beyond_down" if ask.newest_first else "beyond_up")
    known = stream_of(tx, ask.stream)
    if not ask.archived:
        more, needs = kept(tx, known)
        conditions += more
        values |= needs
    found = tx.streams.read(
        known.id, *conditions, order=ask.order_by, down=ask.newest_first, limit=ask.limit + 1, **values
    )
    page = found[: ask.limit]
    return Messages(page, _cursor(page[-1], ask.order_by) if len(found) > ask.limit else None, tx.space_name)


@GetWindow.handler
def get_window(tx: Tx, ask: GetWindow) -> Window:
    """Backwards from the newest message until the count or the budget is spent. The newest is always part of it."""
    known = stream_of(tx, ask.stream)
    said = known.state.properties
    parts = [said.get("summary"), said.get("running_summary")] if ask.summary_as != "none" else []
    summary = "\n".join(one for one in parts if isinstance(one, str) and one)
    if summary and ask.tokens is not None:
        summary = _shortened(summary, ask.tokens * CHARS_PER_TOKEN // 2)
    spent = _estimated(summary) if summary else 0
    lines: list[WindowLine] = []
    conditions: list[str] = []
    values: dict[str, Any] = {}
    _keep_to(tx, known, conditions, values, ask.messages)
    for message in tx.streams.read(known.id, *conditions, down=True, limit=ask.messages, **values):
        cost = message.tokens if message.tokens is not None else _estimated(message.content)
        if ask.tokens is not None and lines and spent + cost > ask.tokens:
            break
        spent += cost
        lines.append(WindowLine(message.role, message.content))
    if summary and ask.summary_as == "system":
        lines.append(WindowLine("system", f"{BEFORE}{summary}"))
        summary = ""
    return Window(lines[::-1], spent, tx.streams.count(known.id), summary, tx.space_name)


def _estimated(text: str) -> int:
    return max(1, -(-len(text) // CHARS_PER_TOKEN))


def _shortened(text: str, chars: int) -> str:
    """A text's end, from a line's or a word's beginning on: what came last matters most."""
    if len(text) <= chars:
        return text
    rest = text[len(text) - chars :]
    return "… " + rest[rest.find("\n" if "\n" in rest else " ") + 1 :]


@SetRetention.handler
def set_retention(tx: Tx, ask: SetRetention) -> Retained:
    """What is beyond it goes into the archive at once; what was there and is kept again comes back."""
    known = stream_of(tx, ask.stream)
    state = copy(known.state)
    for key, value in (("keep_messages", ask.messages), ("keep_days", ask.days)):
        state.properties.pop(key, None)
        if value is not None:
            state.properties[key] = value
    if not state.properties.get("archived_at"):
        state.properties.pop("archived_upto", None)
        state.properties.pop("running_summary", None)
    archived = 0
    if state.properties != known.state.properties:
        known = tx.entities.change(known, state)
        archived = keep(tx, known, 1)
    return Retained(known.id, ask.messages, ask.days, archived, tx.space_name)


@ArchiveMessages.handler
def archive_messages(tx: Tx, ask: ArchiveMessages) -> Archived:
    """One stream, or every one that says what it keeps, a few at a time."""
    if ask.everything:
        if ask.stream is None:
            raise Invalid("Everything is archived of one stream at a time.", "name it")
        known = stream_of(tx, ask.stream)
        count = archive_upto(tx, known, tx.archive.last(known.id))[1]
        return Archived(int(count > 0), count, tx.space_name)
    if ask.stream is not None:
        chosen = [stream_of(tx, ask.stream)]
    else:
        found: dict[int, Stored] = {}
        for key in ("keep_messages", "keep_days"):
            filters = property_filters([Filter(key, exists=True)])
            after = 0
            while page := tx.entities.page("with_properties", "after_id", limit=500, filters=filters, after=after):
                found |= {one.id: one for one in page}
                after = page[-1].id
        chosen = list(found.values())
    counts = [keep(tx, one, 1) for one in chosen]
    return Archived(sum(count > 0 for count in counts), sum(counts), tx.space_name)


@KeepSummary.handler
def keep_summary(tx: Tx, ask: KeepSummary) -> Summary:
    """The running summary begins anew behind it."""
    known = stream_of(tx, ask.stream)
    told = summed_up(tx, known, ask.text, ask.chars)
    if told.text:
        keep_as_own(tx, known, told, by_whom(told))
    return told


def _cursor(last: Message, order: str) -> str:
    place = {"id": last.id, "tick": last.tick, "at": millis(last.at)}[order]
    return cursors.write(place, last.id)
