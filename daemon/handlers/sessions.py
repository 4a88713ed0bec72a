"""Sessions: starting, ending, putting away, deleting, listing."""

import secrets
from datetime import datetime
from typing import Any

from enhanced_memory.client.errors import Conflict, Invalid
from enhanced_memory.client.operations.entities import DeleteEntities, Removed
from enhanced_memory.client.operations.sessions import (
    ArchiveSession,
    DeleteSession,
    EndSession,
    ListSessions,
    Session,
    Sessions,
    StartSession,
)
from enhanced_memory.client.values import Filter, Ref
from enhanced_memory.daemon.handlers import cursors
from enhanced_memory.daemon.handlers.editing import copy
from enhanced_memory.daemon.handlers.filters import as_json, property_filters
from enhanced_memory.daemon.handlers.keeping import by_whom, keep_as_own, kept, summed_up
from enhanced_memory.daemon.handlers.removal import delete_entities
from enhanced_memory.daemon.kinds import accept, kind_of
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.bodies import State
from enhanced_memory.daemon.store.known import Stored, shown
from enhanced_memory.daemon.text import check_data, check_name, check_text
from enhanced_memory.daemon.times import moment, moment_or_none

TYPE = "session"
SUMMARY_CHARS = 800
ABSENT = {
    "open": ("ended_at", "archived_at"),
    "current": ("archived_at",),
}
PRESENT = {"ended": "ended_at", "archived": "archived_at"}
"""Which marks a session of a status has, or has not."""


@StartSession.handler
def start_session(tx: Tx, ask: StartSession) -> Session:
    """A new one, or the one of that name opened again."""
    said = _given(tx, ask)
    known = tx.entities.find(ask.name, TYPE) if ask.name else None
    if known is None:
        name = ask.name or f"{moment(tx.now):%Y-%m-%d %H:%M} {secrets.token_hex(4)}"
        check_name(name, "The session's name", tx.settings.max_name_chars)
        made = tx.entities.create(State(name, TYPE, [], kind_of(TYPE).defaults | said))
        tx.relations.adopt(made.id, name)
        return _session(tx, made)
    if ask.on_existing == "error":
        raise Conflict(f"There is a session {shown(ask.name)} already.", "choose another name, or resume it")
    if known.state.properties.get("archived_at"):
        raise Conflict(
            f"The session {shown(ask.name)} was archived at {known.state.properties['archived_at']}.",
            "take it up again with `archive_session` and `archived` false",
        )
    state = copy(known.state)
    state.properties |= said
    state.properties.pop("ended_at", None)
    return _session(tx, _changed(tx, known, state))


def _given(tx: Tx, ask: StartSession) -> dict[str, Any]:
    for what, text in (("type", ask.session_type), ("user", ask.user), ("title", ask.title)):
        check_text(text, f"The session's {what}", tx.settings.max_name_chars)
    check_data(ask.metadata, "The session's metadata", tx.settings.max_text_chars)
    said: dict[str, Any] = {
        name: value
        for name in ("session_type", "user", "title", "metadata", "keep_messages", "keep_days")
        if (value := getattr(ask, name))
    }
    accept(TYPE, said)
    return said


@EndSession.handler
def end_session(tx: Tx, ask: EndSession) -> Session:
    """Ending what has ended changes its summary alone, where one is given."""
    known = session_of(tx, ask.session)
    if ask.summary is not None:
        known = keep_as_own(tx, known, summed_up(tx, known, ask.summary, SUMMARY_CHARS), "caller")
    elif ask.summarize:
        known = _summed(tx, known)
    state = copy(known.state)
    state.properties.setdefault("ended_at", _now(tx))
    return _session(tx, _changed(tx, known, state))


@ArchiveSession.handler
def archive_session(tx: Tx, ask: ArchiveSession) -> Session:
    """Every message is packed; what was said stays readable, listed where archived sessions are, and found."""
    known = session_of(tx, ask.session)
    state = copy(known.state)
    if not ask.archived:
        state.properties.pop("archived_at", None)
        state.properties.pop("ended_at", None)
        return _session(tx, _changed(tx, known, state))
    if state.properties.get("archived_at"):
        return _session(tx, known)
    known = _summed(tx, known)
    state = copy(known.state)
    state.properties.setdefault("ended_at", _now(tx))
    state.properties["archived_at"] = _now(tx)
    known = _changed(tx, known, state)
    tx.archive.pack(known.id, 0, tx.archive.last(known.id), 1 << 62)
    return _session(tx, known)


@DeleteSession.handler
def delete_session(tx: Tx, ask: DeleteSession) -> Removed:
    """As `delete_entities` does, of a session alone."""
    return delete_entities(tx, DeleteEntities([session_of(tx, ask.session).id]))


@ListSessions.handler
def list_sessions(tx: Tx, ask: ListSessions) -> Sessions:
    """A page in the order asked for; single ones in the order given."""
    if ask.sessions:
        return Sessions([_session(tx, session_of(tx, ref)) for ref in ask.sessions], None, tx.space_name)
    where = [Filter(mark, exists=False) for mark in ABSENT.get(ask.status, ())]
    where += [Filter(PRESENT[ask.status], exists=True)] if ask.status in PRESENT else []
    where += [Filter("session_type", any_of=list(ask.session_types))] if ask.session_types else []
    where += [Filter("user", equal=ask.user)] if ask.user is not None else []
    conditions = ["not_expired", "of_types", *(["with_properties"] if where else [])]
    values: dict[str, Any] = {"types": as_json([TYPE]), "layers": tx.archive.layers, "spoken": tx.archive.spoken}
    if where:
        values["filters"] = property_filters(where)
    key = {"updated": "key_spoken", "created": "key_id", "name": "key_name"}[ask.order_by]
    last, number = cursors.read(ask.cursor, str | int | float, int) if ask.cursor else (None, 0)
    found = tx.entities.page(
        *conditions, key=key, down=ask.descending, limit=ask.limit + 1,
        beyond=(last, number) if number else None, **values,
    )  # fmt: skip
    page = found[: ask.limit]
    following = cursors.write(page[-1].place, page[-1].id) if len(found) > ask.limit else None
    return Sessions([_session(tx, one) for one in page], following, tx.space_name)


def session_of(tx: Tx, ref: Ref) -> Stored:
    """The session that `ref` means. `Invalid` for what is none."""
    known = tx.entities.find(ref, TYPE) if isinstance(ref, str) else None
    if known is None:
        known = tx.entities.get(ref)
    if known.state.type != TYPE:
        raise Invalid(f"{shown(known.state.name)} is a {known.state.type[:100]}, not a session.", "see `list_sessions`")
    return known


def _summed(tx: Tx, known: Stored) -> Stored:
    """The session with a summary of all that was said, unless somebody wrote one, or nothing was said since."""
    if not lacks_summary(tx, known):
        return known
    told = summed_up(tx, known, None, SUMMARY_CHARS)
    return keep_as_own(tx, known, told, by_whom(told)) if told.text else known


def lacks_summary(tx: Tx, known: Stored) -> bool:
    """Whether a session is still to be summed up: nobody wrote a summary of it, and something was said since it was made."""
    said = known.state.properties
    newest = tx.streams.read(known.id, down=True, limit=1)
    return not said.get("summary") or (
        said.get("summary_by") != "caller" and bool(newest) and newest[0].id > said.get("summary_upto", 0)
    )


def _changed(tx: Tx, known: Stored, state: State) -> Stored:
    return tx.entities.change(known, state) if state.properties != known.state.properties else known


def _now(tx: Tx) -> str:
    return moment(tx.now).isoformat().replace("+00:00", "Z")


def _session(tx: Tx, one: Stored) -> Session:
    said = one.state.properties
    total = tx.streams.count(one.id)
    spoken = tx.archive.spoken(one.id)
    at = tx.log.changes([spoken]).get(spoken) if spoken > one.began else None
    archived = total if said.get("archived_at") else 0
    if not archived and ("archived_upto" in said or "keep_messages" in said or "keep_days" in said):
        conditions, values = kept(tx, one)
        archived = total - tx.streams.count(one.id, *conditions, **values)
    return Session(
        one.id, one.state.name, said.get("session_type", "conversation"), said.get("user", ""), said.get("title", ""),
        said.get("metadata", {}), said.get("summary", "") or said.get("running_summary", ""), total, archived,
        moment_or_none(one.created_at or None), moment(at.at) if at else moment_or_none(one.updated_at or None),
        _time(said.get("ended_at")), _time(said.get("archived_at")), said.get("keep_messages"), said.get("keep_days"),
        one.version, tx.space_name,
    )  # fmt: skip


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
