"""The journal: what was changed, by whom, and taking it back."""

from typing import Any

from enhanced_memory.client.errors import Conflict, Invalid, NotFound, TooLarge
from enhanced_memory.client.operations.journal import (
    Deed,
    Journal,
    JournalEntry,
    JournalPage,
    Obstacle,
    Redo,
    Undo,
    Undone,
)
from enhanced_memory.daemon.handlers.filters import as_json
from enhanced_memory.daemon.handlers.moments import any_time
from enhanced_memory.daemon.handlers.undoing import Undoing
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.log import ChangeRow, JournalRow
from enhanced_memory.daemon.times import millis, moment

_AT_ONCE = 10_000
"""Changes that one undoing may take back."""

_DEEDS = 100


@Journal.handler
def journal(tx: Tx, ask: Journal) -> JournalPage:
    """Newest first. What a parent did after a branch was made is not the branch's to know."""
    names: list[str] = []
    values: dict[str, Any] = {}
    for name, key, value in (
        ("change_before", "before", ask.before),
        ("change_numbered", "number", ask.change),
        ("change_of_entity", "entity", any_time(tx, ask.of) if ask.of is not None else None),
        ("change_by_agent", "agent", ask.agent),
        ("change_by_client", "client", ask.client),
        ("change_in_session", "session", ask.session),
        ("change_by_ops", "ops", as_json(ask.ops) if ask.ops else None),
        ("change_since", "since", millis(ask.since, "since") if ask.since else None),
        ("change_to", "until", millis(ask.until, "until") if ask.until else None),
    ):
        if value is not None:
            names.append(name)
            values[key] = value
    found: list[ChangeRow] = []
    for _, layer in tx.view:
        found += tx.log.journal(*names, spaces=[layer.space], limit=ask.limit + 1, at=layer.at, **values)
    found.sort(key=lambda row: -row.number)
    page = found[: ask.limit]
    deeds: dict[int, list[JournalRow]] = {row.number: [] for row in page}
    for entry in tx.log.entries(deeds):
        deeds[entry.number].append(entry)
    told = [entry for rows in deeds.values() for entry in rows[:_DEEDS]]
    called = tx.entities.last_names({entry.id for entry in told if entry.subject == "entity"})
    entries = [
        JournalEntry(
            row.number, moment(row.at), row.op, row.origin, [_deed(entry, called) for entry in deeds[row.number][:_DEEDS]],
            row.message, tx.view.name_of(row.space) or tx.space_name, row.undone_by, max(0, len(deeds[row.number]) - _DEEDS),
        )
        for row in page
    ]  # fmt: skip
    return JournalPage(entries, page[-1].number if len(found) > ask.limit else None, tx.space_name)


def _deed(entry: JournalRow, called: dict[int, str]) -> Deed:
    name = called.get(entry.id, "") if entry.subject == "entity" else ""
    return Deed(entry.subject, entry.id, entry.act, name, entry.before, entry.after)


@Undo.handler
def undo(tx: Tx, ask: Undo) -> Undone:
    """One change, those of somebody, or the last one. Nobody's change is undone twice."""
    chosen = _undone_by(tx, ask)
    undoing = Undoing(tx)
    undoing.take_back(chosen)
    return _carried_out(tx, undoing, chosen, "undo", ask.dry_run)


@Redo.handler
def redo(tx: Tx, ask: Redo) -> Undone:
    """What an undoing did is itself a change; taking that back brings back what it took away."""
    number = _undo_meant(tx, ask.change)
    undoing = Undoing(tx)
    undoing.take_back([number])
    again = [entry.id for entry in tx.log.entries([number]) if entry.subject == "change"]
    return _carried_out(tx, undoing, again, "redo", ask.dry_run)


def _carried_out(tx: Tx, undoing: Undoing, changes: list[int], act: str, dry_run: bool) -> Undone:
    """The plan as it stands, or its outcome. `Conflict` where it is to be carried out and cannot."""
    obstacles = undoing.obstacles
    if dry_run:
        return Undone(changes, undoing.effects(), obstacles, None, True, tx.space_name)
    if obstacles:
        raise Conflict(_in_words(obstacles), "a dry run names every conflict; settle them, or take back fewer changes")
    effects = undoing.effects()
    undoing.carry_out()
    for number in changes:
        tx.note("change", number, act)
    return Undone(changes, effects, [], tx.number, False, tx.space_name)


def _in_words(obstacles: list[Obstacle]) -> str:
    first = obstacles[0]
    rest = f", and {len(obstacles) - 1} more" if len(obstacles) > 1 else ""
    return f"Nothing was undone. Change {first.change}: {first.subject} {first.id} {first.name[:100]!r}: {first.reason}{rest}."


def _undone_by(tx: Tx, ask: Undo) -> list[int]:
    """The changes that are to be undone, newest first."""
    by = {
        "change_by_agent": ("agent", ask.agent),
        "change_by_client": ("client", ask.client),
        "change_in_session": ("session", ask.session),
    }
    names = [name for name, (_, value) in by.items() if value is not None]
    values: dict[str, Any] = {key: value for key, value in by.values() if value is not None}
    if ask.change is not None:
        if names or ask.since is not None:
            raise Invalid(
                "change names one change; agent, client, session and since choose several.", "give one or the other"
            )
        _check_undoable(tx, ask.change)
        return [ask.change]
    if ask.since is not None:
        if not names:
            raise Invalid("since alone would undo everybody's changes.", "say whose: agent, client or session")
        names.append("change_since")
        values["since"] = millis(ask.since, "since")
    limit = _AT_ONCE + 1 if names else 1
    found = tx.log.journal("change_effective", *names, spaces=[tx.space], limit=limit, **values)
    if not found:
        raise NotFound(
            f"There is no change to undo in space {tx.space_name!r}{' by them' if names else ''}.", "see `journal`"
        )
    if len(found) > _AT_ONCE:
        raise TooLarge(f"More than {_AT_ONCE:,} changes would be undone.", "give a later `since`, and go on from there")
    return [row.number for row in found]


def _check_undoable(tx: Tx, number: int) -> None:
    row = tx.log.changes([number]).get(number)
    if row is None:
        last = tx.log.last_change()
        raise NotFound(f"There is no change {number}; the newest is {last}.", "see `journal`")
    if not tx.log.journal("change_numbered", spaces=[tx.space], limit=1, number=number):
        raise Conflict(f"Change {number} was not made in space {tx.space_name!r}.", "`switch` to its space first")
    if row.op in ("undo", "redo"):
        back = "`redo` takes an undoing back" if row.op == "undo" else "undo the change that it did again"
        raise Conflict(f"Change {number} is itself {'an undo' if row.op == 'undo' else 'a redo'}.", back)
    last = tx.log.taken_back_by(number)
    if last is not None and last[1] == "undo":
        raise Conflict(f"Change {number} was undone already, by change {last[0]}.", "`redo` takes that back")
    entries = tx.log.entries([number])
    if any(entry.act == "purge" for entry in entries):
        raise Conflict(f"Change {number} is a purge, which cannot be undone.", "a backup made before may still hold it")
    if not tx.log.journal("change_numbered", "change_effective", spaces=[tx.space], limit=1, number=number):
        raise Conflict(f"Change {number} ({row.op}) is nothing that can be undone.", "see `journal` for what it did")


def _undo_meant(tx: Tx, number: int | None) -> int:
    """The undoing that is to be taken back."""
    if number is None:
        last = tx.log.last_undo()
        if last is None:
            raise NotFound(f"There is no undoing to take back in space {tx.space_name!r}.", "see `journal`")
        return last
    row = tx.log.changes([number]).get(number)
    if row is None:
        raise NotFound(f"There is no change {number}.", "see `journal`")
    if row.op != "undo":
        last = tx.log.taken_back_by(number)
        if last is None or last[1] != "undo":
            raise Conflict(f"Change {number} is not undone.", "there is nothing to do again")
        number = last[0]
    if not tx.log.journal("change_numbered", spaces=[tx.space], limit=1, number=number):
        raise Conflict(f"Change {number} was not made in space {tx.space_name!r}.", "`switch` to its space first")
    undone = [entry.id for entry in tx.log.entries([number]) if entry.subject == "change"]
    for one in undone:
        last = tx.log.taken_back_by(one)
        if last != (number, "undo"):
            raise Conflict(f"What change {number} undid was done again already.", "there is nothing to do again")
    return number
