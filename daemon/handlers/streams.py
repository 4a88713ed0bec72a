"""Streams: appending and reading messages."""

from enhanced_memory.client.operations.streams import (
    Appended,
    AppendMessages,
    GetWindow,
    Messages,
    MessagesBy,
    RecentMessages,
    Window,
    WindowLine,
)
from enhanced_memory.client.values import Message
from enhanced_memory.daemon.handlers import cursors
from enhanced_memory.daemon.handlers.filters import message_conditions
from enhanced_memory.daemon.kinds import kind_of
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import State
from enhanced_memory.daemon.text import check_data, check_name, check_text
from enhanced_memory.daemon.times import millis

CHARS_PER_TOKEN = 4
"""The estimate for messages that do not say their tokens."""


@AppendMessages.handler
def append_messages(tx: Tx, ask: AppendMessages) -> Appended:
    """All of them, in the order given."""
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
    ids = tx.streams.append(stream, ask.messages)
    given = {number: message.vectors for number, message in zip(ids, ask.messages, strict=True) if message.vectors}
    if given:
        tx.vectors.give_messages(given)
    return Appended(ids, stream, tx.space_name)


def _stream(tx: Tx, ask: AppendMessages) -> int:
    """The stream's id; an entity of its type is made for a name that is new."""
    if isinstance(ask.stream, int):
        return tx.entities.get(ask.stream).id
    check_name(ask.stream, "The stream's name", tx.settings.max_name_chars)
    check_name(ask.stream_type, "The stream's type", tx.settings.max_name_chars)
    scope = ask.stream_type if kind_of(ask.stream_type).scope == "type" else ""
    found = tx.entities.named(ask.stream, scope)
    if found is None:
        found = tx.entities.named(ask.stream)
    if found is None:
        found = tx.entities.create(State(ask.stream, ask.stream_type)).id
        tx.relations.adopt(found, ask.stream)
    return found


@RecentMessages.handler
def recent_messages(tx: Tx, ask: RecentMessages) -> Messages:
    """The newest, turned round so that they read in order."""
    conditions, values = message_conditions(ask.roles, ask.kinds, [])
    if ask.before is not None:
        conditions.append("before_message")
        values["before"] = ask.before
    stream = tx.entities.get(ask.stream).id
    found = tx.streams.read(stream, *conditions, down=True, limit=ask.limit, **values)
    return Messages(found[::-1], None, tx.space_name)


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
    stream = tx.entities.get(ask.stream).id
    found = tx.streams.read(
        stream, *conditions, order=ask.order_by, down=ask.newest_first, limit=ask.limit + 1, **values
    )
    page = found[: ask.limit]
    return Messages(page, _cursor(page[-1], ask.order_by) if len(found) > ask.limit else None, tx.space_name)


@GetWindow.handler
def get_window(tx: Tx, ask: GetWindow) -> Window:
    """Backwards from the newest message until the count or the budget is spent. The newest is always part of it."""
    known = tx.entities.get(ask.stream)
    lines: list[WindowLine] = []
    spent = 0
    for message in tx.streams.read(known.id, down=True, limit=ask.messages):
        cost = message.tokens if message.tokens is not None else max(1, -(-len(message.content) // CHARS_PER_TOKEN))
        if ask.tokens is not None and lines and spent + cost > ask.tokens:
            break
        spent += cost
        lines.append(WindowLine(message.role, message.content))
    summary = known.state.properties.get("summary")
    return Window(
        lines[::-1], spent, tx.streams.count(known.id), summary if isinstance(summary, str) else "", tx.space_name
    )


def _cursor(last: Message, order: str) -> str:
    place = {"id": last.id, "tick": last.tick, "at": millis(last.at)}[order]
    return cursors.write(place, last.id)
