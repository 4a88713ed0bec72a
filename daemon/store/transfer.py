"""The whole store as records, as it was after one change: every space, all that it holds and all that it held.

Pages are cut by records and by bytes. Rows have the numbers at which they began and ended, so a page read later shows the
same moment as the first, whatever was written meanwhile.
"""

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from enhanced_memory.client.errors import Invalid, StoreDamaged, TooLarge
from enhanced_memory.client.values import Origin
from enhanced_memory.daemon.store.bodies import Noted, State, decoded, undelta
from enhanced_memory.daemon.store.cold import Address, Cold
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.known import KEYFRAME
from enhanced_memory.daemon.store.records import VERSION, ConflictRecord
from enhanced_memory.daemon.store.views import NOW

__all__ = ["PAGE_BYTES", "Place", "Transfer"]

PAGE_BYTES = 4 * 1024 * 1024
PART_BYTES = 1024 * 1024
"""An entity's versions go into several records once they are this large."""
FRAME_REST = 64 * 1024
"""What an answer holds beside its records, at most."""
CHUNK = 200
BODIES = 32
"""Entities and messages are fetched in smaller chunks: each may be large."""

_size_of = msgspec.msgpack.Encoder().encode


class Place(msgspec.Struct, frozen=True):
    """Where an export has got to: after which record of which kind."""

    phase: int = 0
    major: int = 0
    minor: int = 0
    part: int = 0


class Transfer:
    """Tells all that the store holds."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._origins: dict[int, dict[str, Any]] = {}
        self._cold = Cold(ground)
        self._phases: tuple[Callable[[int, Place], Iterator[tuple[dict[str, Any], tuple[int, ...]]]], ...] = (
            self._header, self._spaces, self._changes, self._entities, self._relations, self._messages, self._cold_messages, self._journal, self._uses, self._merges,
            self._snapshots, self._conflicts,
        )  # fmt: skip

    def total(self, at: int) -> int:
        """About how many records an export has."""
        row = self._ground.rows.one("transfer_total", at=at)
        return 1 + (row[0] if row else 0)

    def page(self, at: int, after: Place, limit: int) -> tuple[list[dict[str, Any]], Place | None]:
        """Records after a place, and the place of the last of them; None with the last page.

        `TooLarge` names an entity or a message that no message to the client can hold.
        """
        if not 0 <= after.phase < len(self._phases):
            raise Invalid("The cursor is not one that this operation gave out.", "begin without a cursor")
        largest = self._ground.settings.max_frame_bytes - FRAME_REST
        page_bytes = min(PAGE_BYTES, largest)
        records: list[dict[str, Any]] = []
        spent = 0
        for record, place in self._after(at, after):
            size = len(_size_of(record))
            if records and (len(records) >= limit or spent + size > page_bytes):
                return records, after
            if size > largest:
                raise TooLarge(
                    f"The {record['type']} {record.get('id')} has {size:,} bytes in one record; a message may have {largest:,}.",
                    "set max_frame_bytes higher, for the daemon and for the client",
                )
            records.append(record)
            spent += size
            after = place
        return records, None

    def _after(self, at: int, after: Place) -> Iterator[tuple[dict[str, Any], Place]]:
        for phase in range(after.phase, len(self._phases)):
            start = after if phase == after.phase else Place(phase)
            for record, where in self._phases[phase](at, start):
                yield record, Place(phase, *where)

    def _rows(self, query: str, after: int, chunk: int = CHUNK, **values: Any) -> Iterator[tuple[Any, ...]]:
        """All rows of a query that pages by its first column."""
        while True:
            rows = self._ground.rows.all(query, after=after, limit=chunk, **values)
            yield from rows
            if len(rows) < chunk:
                return
            after = rows[-1][0]

    # Kind by kind

    def _header(self, at: int, after: Place) -> Iterator[tuple[dict[str, Any], tuple[int, ...]]]:
        if not after.major:
            yield {"type": "export", "version": VERSION, "change": at}, (1,)

    def _spaces(self, at: int, after: Place) -> Iterator[tuple[dict[str, Any], tuple[int, ...]]]:
        for number, name, parent, pinned, kind, metadata, began, ended, entity in self._rows(
            "transfer_spaces", after.major, at=at
        ):
            told = {
                "type": "space",
                "id": number,
                "name": name,
                "parent": parent,
                "pinned": pinned,
                "kind": kind,
                "entity": entity,
                "began": began,
                "ended": ended,
            }
            yield told | {"metadata": msgspec.msgpack.decode(metadata)}, (number,)

    def _changes(self, at: int, after: Place) -> Iterator[tuple[dict[str, Any], tuple[int, ...]]]:
        for number, when, space, op, message, *origin in self._rows("transfer_changes", after.major, at=at):
            told = {"type": "change", "number": number, "at": when, "space": space, "op": op, "message": message}
            yield told | {"origin": msgspec.to_builtins(Origin(*origin))}, (number,)

    def _relations(self, at: int, after: Place) -> Iterator[tuple[dict[str, Any], tuple[int, ...]]]:
        for row in self._rows("transfer_relations", after.major, at=at):
            (
                place,
                space,
                number,
                from_id,
                to_id,
                from_name,
                to_name,
                kind,
                strength,
                metadata,
                deleted,
                began,
                ended,
            ) = row
            told = {
                "type": "relation", "space": space, "id": number, "kind": kind, "from_id": from_id, "to_id": to_id, "from_name": from_name,
                "to_name": to_name, "strength": strength, "deleted": bool(deleted), "began": began, "ended": ended,
            }  # fmt: skip
            yield told | {"metadata": msgspec.msgpack.decode(metadata) if metadata else {}}, (place,)

    def _messages(self, at: int, after: Place) -> Iterator[tuple[dict[str, Any], tuple[int, ...]]]:
        for row in self._rows("transfer_messages", after.major, BODIES, at=at):
            yield self._message(row), (row[0],)

    def _message(self, row: tuple[Any, ...]) -> dict[str, Any]:
        number, space, stream, role, kind, speaker, when, tick, importance, tokens, began, ended, checksum, body = row
        line = self._ground.line(body, checksum)
        return {
            "type": "message", "id": number, "space": space, "stream": stream, "role": role, "kind": kind, "speaker": speaker, "at": when,
            "tick": tick, "importance": importance, "tokens": tokens, "began": began, "ended": ended,
            "content": line.content, "provider": line.provider, "metadata": line.metadata,
        }  # fmt: skip

    def _cold_messages(self, at: int, after: Place) -> Iterator[tuple[dict[str, Any], tuple[int, ...]]]:
        """The messages of streams that lie in cold storage."""
        space, entity, beyond = after.major, after.minor, after.part
        while page := self._cold.all_addresses(space, entity - 1 if beyond else entity, CHUNK):
            for one in page:
                space, entity = one.space, one.entity
                told = self._cold.group(one).messages if one.messages else []
                for record in told:
                    if record["id"] > beyond and record["began"] <= at:
                        yield (
                            record | {"ended": record["ended"] if record["ended"] <= at else 0},
                            (space, entity, record["id"]),
                        )
                beyond = 0
            if len(page) < CHUNK:
                return

    def _journal(self, at: int, after: Place) -> Iterator[tuple[dict[str, Any], tuple[int, ...]]]:
        number, seq = after.major, after.minor if after.major else -1
        while True:
            rows = self._ground.rows.all("transfer_journal", after=number, seq=seq, at=at, limit=CHUNK)
            for number, seq, subject, thing, act, before, version in rows:
                told = {"type": "journal", "number": number, "seq": seq, "subject": subject, "id": thing, "act": act}
                yield told | {"before": before, "after": version}, (number, seq)
            if len(rows) < CHUNK:
                return

    def _uses(self, at: int, after: Place) -> Iterator[tuple[dict[str, Any], tuple[int, ...]]]:
        for entity, count, last in self._rows("transfer_uses", after.major, at=at):
            yield {"type": "use", "entity": entity, "count": count, "last": last}, (entity,)

    def _snapshots(self, at: int, after: Place) -> Iterator[tuple[dict[str, Any], tuple[int, ...]]]:
        # No row number orders them: they come by the change that named each, of which there is one for each change.
        for began, space, name, number, ended in self._rows("transfer_snapshots", after.major, at=at):
            told = {"type": "snapshot", "space": space, "name": name, "change": number, "began": began, "ended": ended}
            yield told, (began,)

    def _merges(self, at: int, after: Place) -> Iterator[tuple[dict[str, Any], tuple[int, ...]]]:
        """They have no number of their own: their place is how many of them came before."""
        names = ("branch", "target", "subject", "id", "part", "began", "base", "ended")
        for place, row in enumerate(self._ground.rows.all("transfer_merges", at=at), 1):
            if place > after.major:
                yield {"type": "merge"} | dict(zip(names, row, strict=True)), (place,)

    def _conflicts(self, at: int, after: Place) -> Iterator[tuple[dict[str, Any], tuple[int, ...]]]:
        for place, *row in self._rows("transfer_conflicts", after.major, at=at):
            yield {"type": "conflict"} | dict(zip(ConflictRecord.__struct_fields__, row, strict=True)), (place,)

    # Of one

    def entity_records(self, space: int, entity: int) -> Iterator[dict[str, Any]]:
        """An entity's records with all versions that a space holds of it now."""
        rows = self._ground.rows.all("transfer_entities", space=space, after=entity - 1, limit=1, at=NOW)
        for row in rows:
            if row[0] == entity:
                yield from (told for told, _ in self._parts(space, row, NOW, 0))

    def message_records(self, space: int, stream: int) -> Iterator[dict[str, Any]]:
        """The messages that a space holds of a stream."""
        for row in self._rows("cold_messages", 0, space=space, stream=stream):
            yield self._message(row)

    def states_of(self, space: int, entity: int) -> Iterator[tuple[int, int, State]]:
        """What the versions say that a space holds of an entity, oldest first: each with the changes at which it began and ended."""
        rows = self._ground.rows.all("transfer_entities", space=space, after=entity - 1, limit=1, at=NOW)
        last: tuple[int, State] | None = None
        for row in rows:
            if row[0] == entity:
                for _, began, deleted, state in self._states(space, row, 1, row[2]):
                    if last is not None:
                        yield last[0], began, last[1]
                    last = None if deleted else (began, state)
        if last is not None:
            yield last[0], NOW, last[1]

    # Entities

    def _entities(self, at: int, after: Place) -> Iterator[tuple[dict[str, Any], tuple[int, ...]]]:
        spaces = [row[0] for row in self._rows("transfer_spaces", max(after.major - 1, 0), at=at)]
        for space in spaces:
            done, part = (after.minor, after.part) if space == after.major else (0, 0)
            # An entity of which a part was told is begun once more, after that part.
            for row in self._rows("transfer_entities", done - 1 if part else done, BODIES, space=space, at=at):
                begun = part if row[0] == done else 0
                cold = self._cold.address(space, row[0]) if row[5] else None
                told_by = self._parts(space, row, at, begun) if cold is None else self._archived(cold, row, at, begun)
                for told, last in told_by:
                    yield told, (space, row[0], last)

    def _archived(
        self, cold: Address, row: tuple[Any, ...], at: int, after: int
    ) -> Iterator[tuple[dict[str, Any], int]]:
        """What lies in cold storage of an entity, told as if it were here and deleted by the change that archived it."""
        told = [record for record in self._cold.group(cold).records if record["type"] == "entity"]
        newest = told[-1]["versions"][-1]
        noted = [one if isinstance(one, int) else one["id"] for one in newest.get("observations", ())]
        told[-1]["versions"].append(
            newest | {"version": row[2], "began": row[4], "deleted": True, "observations": noted}
        )
        first = told[0]["versions"][0]
        if first["began"] > at:
            first |= {"began": at, "late": True}
        for record in told:
            record["versions"] = [one for one in record["versions"] if one["began"] <= at]
        told = [record for record in told if record["versions"]]
        head = told[-1]["versions"][-1]["version"]
        for place, record in enumerate(told, 1):
            last = record["versions"][-1]["version"]
            if last > after:
                yield record | {"head": head}, last if place < len(told) else 0

    def _parts(self, space: int, row: tuple[Any, ...], at: int, after: int) -> Iterator[tuple[dict[str, Any], int]]:
        """An entity's records, each with the number of its last version where another follows, else 0."""
        entity, scope, head, first, began, *_ = row
        late = False
        if began > at:
            past = self._ground.rows.one("version_at", space=space, entity=entity, at=at)
            if past is None:
                # Of some kinds only the newest versions are kept; the one that stood then has gone meanwhile.
                late, head = True, self._oldest(space, entity, head)
            else:
                head = past[0]
        versions: list[dict[str, Any]] = []
        before: dict[int, Noted] = {}
        size = 0
        for number, since, deleted, state in self._states(space, row, max(after + 1, head if late else 0), head):
            if versions and size > PART_BYTES:
                yield (
                    {
                        "type": "entity",
                        "space": space,
                        "id": entity,
                        "scope": scope,
                        "first": first,
                        "head": head,
                        "versions": versions,
                    },
                    number - 1,
                )
                versions, before, size = [], {}, 0
            told = self._version(state, before, at)
            told |= {"version": number, "began": min(since, at), "deleted": bool(deleted)} | (
                {"late": True} if late else {}
            )
            versions.append(told)
            size += len(_size_of(told))
            before = {noted.id: noted for noted in state.observations}
        yield (
            {
                "type": "entity",
                "space": space,
                "id": entity,
                "scope": scope,
                "first": first,
                "head": head,
                "versions": versions,
            },
            0,
        )

    def _oldest(self, space: int, entity: int, head: int) -> int:
        row = self._ground.rows.one("transfer_oldest", space=space, entity=entity)
        return row[0] if row and row[0] is not None else head

    def _states(
        self, space: int, row: tuple[Any, ...], start: int, until: int
    ) -> Iterator[tuple[int, int, int, State]]:
        """The versions `start` to `until` of an entity, oldest first, no more of them opened at a time than lie between two whole ones."""
        entity, _, head, first, began, deleted, checksum, body = row
        plain = self._ground.codec.plain
        number = start
        if began == first:
            number = head
        elif number < head:
            number = max(number, self._oldest(space, entity, head))
        while number < head and number <= until:
            last = min(-(-number // KEYFRAME) * KEYFRAME, head - 1)
            rows = self._ground.rows.all("versions_from", space=space, entity=entity, version=number, last=last)
            if [one[0] for one in rows] != list(range(number, last + 1)):
                raise StoreDamaged(f"The versions of entity {entity} have a gap.")
            raws: list[bytes] = []
            newer = b"" if rows[-1][4] else plain(body, checksum)
            for one in reversed(rows):
                newer = plain(one[6], one[5]) if one[4] else undelta(one[6], newer, one[5])
                raws.append(newer)
            for one, raw in zip(rows, reversed(raws), strict=True):
                if one[0] <= until:
                    yield one[0], one[1], one[3], decoded(raw)
            number = last + 1
        if number == head <= until:
            yield head, began, deleted, decoded(plain(body, checksum))

    def _version(self, state: State, before: dict[int, Noted], at: int) -> dict[str, Any]:
        told: dict[str, Any] = {"name": state.name, "type": state.type, "next_id": state.next_id}
        if state.observations:
            told["observations"] = [
                noted.id if before.get(noted.id) == noted else self._noted(noted, at) for noted in state.observations
            ]
        if state.properties:
            told["properties"] = state.properties
        if state.tags:
            told["tags"] = state.tags
        if state.attributes:
            told["attributes"] = state.attributes
        return told

    def _noted(self, noted: Noted, at: int) -> dict[str, Any]:
        told: dict[str, Any] = {"id": noted.id, "change": min(noted.change, at), "text": noted.text}
        if noted.extra:
            told["extra"] = {
                key: self._origin(value) if key in ("origin", "trusted") else value
                for key, value in noted.extra.items()
            }
        return told

    def _origin(self, number: int) -> dict[str, Any]:
        found = self._origins.get(number)
        if found is None:
            rows = self._ground.rows.all("origins", ids=f"[{number}]")
            found = self._origins[number] = msgspec.to_builtins(Origin(*rows[0][1:])) if rows else {}
        return found
