"""What curation reads of a space, past what its entities say: what has expired, what stands how, what was undone, the last run."""

from collections.abc import Iterable

import msgspec

from enhanced_memory.daemon.store.ground import Ground

__all__ = ["LIMITS", "Mark", "Row", "Tended"]

LIMITS = {"max_entities": 0, "max_text_bytes": 1}
"""What may be noted of a space as its limit, and which of its sizes each is of."""

_KEY = "curation/"
_ACTION = "action"


class Row(msgspec.Struct, array_like=True):
    """An entity as curation looks at it, without opening it. Times are milliseconds since 1970."""

    id: int
    type: str
    tier: int
    began: int
    """The change of its newest version."""
    made_at: int
    changed_at: int
    declined: int = 0
    """Whether its newest version is an undoing of curation: what somebody has taken back is not done again."""
    used: int | None = 0
    used_at: int | None = 0


class Mark(msgspec.Struct):
    """A curation that ended, as the store keeps it."""

    at: int
    """When it began, in milliseconds since 1970."""
    dry_run: bool
    counts: dict[str, int]
    left: int = 0
    session: str = ""
    seconds: float = 0.0


class Tended:
    """Reads the caller's own space, without those that it reads through to: each of them is tended by itself."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    @property
    def space(self) -> int:
        """The id of the caller's own space; 0 where nothing was ever written to it."""
        view = self._ground.view
        return view.layers[0].space if view.names[:1] == (self._ground.space_name,) else 0

    # What has expired

    def expired(self, beyond: tuple[int, int] | None, limit: int) -> list[tuple[int, int]]:
        """What has expired and is not deleted yet, `(when, entity)`, the first to expire first."""
        when, entity = beyond or (-(1 << 62), 0)
        rows = self._ground.rows.all(
            "expired", space=self.space, now=self._ground.now, beyond=when, beyond_id=entity, limit=limit
        )
        return [(row[0], row[1]) for row in rows]

    def spaces_expiring(self) -> list[str]:
        """The spaces in which something has expired."""
        return [row[0] for row in self._ground.rows.all("spaces_expiring", now=self._ground.now)]

    # What stands how

    def rows(self, after: int, limit: int) -> list[Row]:
        """Living entities in the order of their ids; what has expired is left out."""
        row = self._ground.rows.one("tended", space=self.space, after=after, limit=limit, now=self._ground.now)
        return msgspec.json.decode(row[0], type=list[Row]) if row else []

    def size(self) -> tuple[int, int]:
        """How many living entities there are, and the bytes of their text."""
        row = self._ground.rows.one("tended_size", space=self.space)
        return (row[0], row[1]) if row else (0, 0)

    def links(self, ids: Iterable[int]) -> dict[int, int]:
        """How many relations touch each of the entities; those without any are left out."""
        rows = self._ground.rows.all(
            "tended_links", space=self.space, ids=msgspec.json.encode(sorted(set(ids))).decode()
        )
        return {row[0]: row[1] for row in rows}

    def streams(self, after: int, limit: int) -> list[int]:
        """Streams that have messages, in the order of their ids."""
        return [row[0] for row in self._ground.rows.all("tended_streams", after=after, limit=limit)]

    def actions(self, stream: int, limit: int) -> list[tuple[int, int, str]]:
        """The newest messages of a stream that tell of an action, oldest of them first: their ids, times and what they say."""
        rows = self._ground.rows.all("tended_actions", space=self.space, stream=stream, kind=_ACTION, limit=limit)
        codec = self._ground.codec
        return [(row[0], row[1], codec.line(row[3], row[2]).content) for row in reversed(rows)]

    def origins_of(self, messages: Iterable[int]) -> list[int]:
        """The changes that appended messages."""
        ids = msgspec.json.encode(sorted(set(messages))).decode()
        return [row[0] for row in self._ground.rows.all("tended_origins", ids=ids)]

    # What was done

    def declined(self, number: int) -> bool:
        """Whether a change is an undoing of curation."""
        return self._ground.rows.one("tended_declined", number=number) is not None

    def acts_since(self, at: int) -> int:
        """How many entities curation has moved or made in the space since a time."""
        row = self._ground.rows.one("tended_acts", space=self.space, at=at)
        return row[0] if row else 0

    def note(self, mark: Mark) -> None:
        """Keep what the last run in the caller's space came to."""
        if self.space:
            self._ground.rows.run("set_meta", key=f"{_KEY}{self.space}", value=msgspec.json.encode(mark))

    def mark(self) -> Mark | None:
        """What the last run in the caller's space came to."""
        row = self._ground.rows.one("get_meta", key=f"{_KEY}{self.space}")
        return None if row is None else msgspec.json.decode(row[0], type=Mark)

    def runs(self) -> dict[str, Mark | None]:
        """Every space in use that is no branch, with its last run."""
        return {
            name: None if mark is None else msgspec.json.decode(mark, type=Mark)
            for name, mark in self._ground.rows.all("tended_runs", prefix=_KEY)
        }

    def settled(self, tier: int, types: Iterable[str], made: int, quiet: int, reads: int) -> int:
        """How many entities of a tier, but for some types, were made before a time, read fewer than so often, and neither read
        nor changed since another time."""
        row = self._ground.rows.one(
            "tended_settled", space=self.space, tier=tier, types=msgspec.json.encode(sorted(types)).decode(), made=made,
            quiet=quiet, reads=reads, now=self._ground.now,
        )  # fmt: skip
        return row[0] if row else 0

    def made_at(self) -> int:
        """When the store was made."""
        row = self._ground.rows.one("get_meta", key="made_at")
        return int(row[0]) if row else 0
