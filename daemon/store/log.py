"""The log: changes and who made them, answers kept for repeated requests, access rows, and counts."""

from collections.abc import Iterable
from typing import Any

import msgspec

from enhanced_memory.client.values import AccessRow, Origin
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.views import NOW
from enhanced_memory.daemon.times import moment

__all__ = ["ChangeRow", "JournalRow", "Log"]


class ChangeRow(msgspec.Struct):
    """A change: when, by whom, through which operation."""

    number: int
    at: int
    op: str
    message: str
    origin: Origin
    space: int = 0
    undone_by: int | None = None


class JournalRow(msgspec.Struct):
    """What a change did to one thing."""

    number: int
    seq: int
    subject: str
    id: int
    act: str
    before: int
    after: int


class Log:
    """Reads what was done; keeps and finds answers."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def changes(self, numbers: Iterable[int]) -> dict[int, ChangeRow]:
        """Changes by their numbers."""
        rows = self._ground.rows.all("changes", numbers=msgspec.json.encode(sorted(set(numbers))).decode())
        return {row[0]: ChangeRow(row[0], row[1], row[2], row[3], Origin(*row[4:])) for row in rows}

    def origins(self, ids: Iterable[int]) -> dict[int, Origin]:
        """Origins by their ids."""
        rows = self._ground.rows.all("origins", ids=msgspec.json.encode(sorted(set(ids))).decode())
        return {row[0]: Origin(*row[1:]) for row in rows}

    def last_change(self) -> int:
        """The newest change's number; 0 in an empty store."""
        row = self._ground.rows.one("last_change")
        return row[0] if row and row[0] else 0

    def change_until(self, at: int) -> int:
        """The last change made by a time; 0 where none was."""
        row = self._ground.rows.one("change_until", at=at)
        return row[0] if row is not None else 0

    def journal(self, *also: str, spaces: Iterable[int], limit: int, at: int = NOW, **values: Any) -> list[ChangeRow]:
        """Changes made in `spaces`, newest first, up to change `at`; `also` names conditions."""
        rows = self._ground.rows.all(
            "journal_changes",
            *also,
            spaces=msgspec.json.encode(sorted(set(spaces))).decode(),
            at=at,
            limit=limit,
            **values,
        )
        return [
            ChangeRow(row[0], row[1], row[2], row[3], Origin(*row[5:14]), row[4], undone_by=row[14]) for row in rows
        ]

    def entries(self, numbers: Iterable[int]) -> list[JournalRow]:
        """What changes did, newest change first, in the order in which each did it."""
        rows = self._ground.rows.all("journal_of", numbers=msgspec.json.encode(sorted(set(numbers))).decode())
        return [JournalRow(*row) for row in rows]

    def last_undo(self) -> int | None:
        """The newest undoing in the caller's space that was not taken back."""
        row = self._ground.rows.one("last_undo", space=self._ground.space)
        return None if row is None else row[0]

    def taken_back_by(self, number: int) -> tuple[int, str] | None:
        """The change that last undid or redid a change, and which of the two (`undo`, `redo`) it did."""
        row = self._ground.rows.one("taken_back_by", number=number)
        return None if row is None else (row[0], row[1])

    def kept_answer(self, uid: int, key: str) -> tuple[str, bytes, int] | None:
        """The operation, the encoded answer and the change of an earlier request with this key."""
        row = self._ground.rows.one("kept_answer", uid=uid, key=key)
        return None if row is None else (row[0], self._ground.codec.unsqueeze(row[1]), row[2])

    def keep_answer(self, uid: int, key: str, op: str, answer: bytes) -> None:
        """Keep an answer, in the change's own transaction."""
        number = self._ground.number if self._ground.started else 0
        self._ground.rows.run(
            "keep_answer",
            uid=uid,
            key=key,
            number=number,
            at=self._ground.now,
            op=op,
            answer=self._ground.codec.squeeze(answer),
        )

    def access(self, *also: str, limit: int, **values: Any) -> list[tuple[int, AccessRow]]:
        """Access rows with their ids, newest first."""
        rows = self._ground.rows.all("access", *also, limit=limit, **values)
        return [
            (
                row[0],
                AccessRow(
                    at=moment(row[1]),
                    op=row[2],
                    space=row[3],
                    pid=row[4],
                    ms=row[5] / 1000,
                    ok=not row[6],
                    error=row[6],
                    change=row[7] or None,
                    entity=row[8] or None,
                    address=row[9],
                    request=msgspec.json.decode(row[10]) if row[10] else {},
                    says=row[11],
                    id=row[0],
                    origin=Origin(*row[12:]),
                ),
            )
            for row in rows
        ]

    def note_access(self, rows: list[dict[str, Any]]) -> None:
        """Write what a caller notes of accesses of its own."""
        self._ground.rows.many("note_access", rows)

    def counts(self, spaces: list[int] | None = None) -> dict[str, int]:
        """How many rows of each primitive the store holds, or these spaces of it."""
        rows = self._ground.rows
        row = (
            rows.one("counts") if spaces is None else rows.one("counts_of", spaces=msgspec.json.encode(spaces).decode())
        )
        names = ("entities", "relations", "messages", "versions", "spaces", "changes", "body_bytes", "body_text_bytes")
        return dict(zip(names, row or (0,) * len(names), strict=True))

    def last_change_at(self) -> int:
        """When the last change was made; 0: there was none."""
        row = self._ground.rows.one("last_change_at")
        return row[0] if row is not None else 0

    def keep(self, key: str, value: int | str) -> None:
        """Keep a fact about the store itself."""
        self._ground.rows.run("set_meta", key=key, value=value)

    def kept(self, key: str) -> str | None:
        """A fact about the store itself as text, or None. Engines differ in what they make of a number."""
        row = self._ground.rows.one("get_meta", key=key)
        if row is None:
            return None
        return row[0].decode() if isinstance(row[0], bytes) else str(row[0])

    def last_backup(self, until: int = 1 << 62) -> tuple[int, str] | None:
        """When and where the last verified backup was written, of those that are not of later than `until`."""
        row = self._ground.rows.one("last_backup", until=until)
        return None if row is None else (row[0], row[1])

    def backups(self, since: int) -> list[str]:
        """Where verified backups were written that hold change `since`."""
        return [row[0] for row in self._ground.rows.all("backups_since", number=since)]
