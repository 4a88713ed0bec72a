"""Purging: all that the store holds of an entity goes, in the caller's space and in every space that reads through to it.

What is gathered here beforehand (what the entity said and was called) is what answers and messages are searched for, and by
which the engine knows the dictionaries that were trained on it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from enhanced_memory.client.texts import strings
from enhanced_memory.client.wire import pack_value, unpack_value
from enhanced_memory.daemon.store.bodies import State, crc
from enhanced_memory.daemon.store.cold import Cold
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.known import Stored
from enhanced_memory.daemon.store.lineage import Lineage
from enhanced_memory.daemon.store.views import NOW, Layer, View
from enhanced_memory.daemon.store.words import Words

__all__ = ["SCRUB_DUE", "Gone", "Purging"]

SCRUB_DUE = "scrub_due"
"""Under this key the store notes that a purge was carried out and its traces may still be in the file."""

PAGE = 500
PART_CHARS = 6
"""From how many characters on a text is sought inside others; a shorter one only as a whole."""
PARTS = 1000
"""Texts that are sought inside others, the longest first."""
WHOLE = 8
"""Up to so many texts are sought in an answer's bytes before it is unpacked."""

TOGETHER = ("merges", "properties", "tags", "names")
"""What no index finds by the entity: these are read through once, for all that goes."""

TABLES = (
    "merges",
    "passages",
    "properties",
    "tags",
    "names",
    "versions",
    "messages",
    "blocks",
    "relations",
    "conflicts",
    "uses",
    "entities",
)


class Gone(msgspec.Struct):
    """What a purge took of one entity."""

    id: int
    first: int
    """The change at which the first of the spaces had it."""
    crcs: list[tuple[int, int, int]]
    """Space, version and checksum of every version."""
    spaces: list[str]
    kept_in: list[str]


class Purging:
    """One purge, of as many entities as may be."""

    def __init__(self, ground: Ground, known: Lineage, words: Words, cold: Cold) -> None:
        self._ground = ground
        self._cold = cold
        self._known = known
        self._words = words
        self._texts: set[str] = set()
        self._taken: list[int] = []
        self._nowhere: list[int] = []
        """Those of them that no other space knows."""
        self.removed = dict.fromkeys(("cold", "notes", *TABLES), 0)
        """How many rows went, by table."""
        self._under: list[tuple[int, str]] = [
            (row[0], row[1]) for row in ground.rows.all("spaces_under", space=ground.space)
        ]

    def take(self, entity: int) -> Gone:
        """Remove an entity; what is left to do once for all is in `finish`."""
        ground = self._ground
        ground.permit(entity)
        rows = ground.rows
        under = {space for space, _ in self._under}
        knowing: list[tuple[int, str]] = [(row[0], row[1]) for row in rows.all("spaces_knowing", entity=entity)]
        mine = [(space, name) for space, name in knowing if space in under]
        which: dict[str, Any] = {
            "entity": entity,
            "space": ground.space,
            "spaces": _json(under),
            "everywhere": len(mine) == len(knowing),
        }
        gone = Gone(
            entity, NOW, [], [name for _, name in mine], [name for space, name in knowing if space not in under]
        )
        for space, _ in mine:
            for one in self._versions(entity, space):
                gone.crcs.append((space, one.version, one.crc))
                gone.first = min(gone.first, one.first)
                self._gather(one.state)
        self._gather_rows(which)
        self.removed["cold"] += self._thaw(gone, entity, [space for space, _ in mine])
        passages = [row[0] for row in rows.all("all_passages", **which)]
        found = [{"id": passage} for passage in passages]
        rows.many("purge_vectors", found)
        rows.many("drop_words", found)
        rows.many("drop_words_past", found)
        ground.ended += passages
        rows.run("blank_access", entity=entity)
        ground.note("entity", entity, "purge", before=gone.crcs[-1][1] if gone.crcs else 0)
        which["passages"] = _json(passages)
        self.removed["notes"] += rows.count("purge_notes", **which)
        for table in TABLES:
            if table not in TOGETHER:
                self.removed[table] += rows.count(f"purge_{table}", **which)
        self._taken.append(entity)
        if which["everywhere"]:
            self._nowhere.append(entity)
        return gone

    def finish(self) -> tuple[int, int, set[str]]:
        """Drop the answers and blank the messages that name what is gone, and leave nothing of its words in the index.

        How many answers and messages those were, and the texts that are gone.
        """
        ground = self._ground
        self._take_together()
        answers, messages = self._answers(), self._messages()
        # Where the highest id was purged, no row would say that it was ever given out.
        ground.rows.run("set_meta", key="entity_high_water", value=ground.counters.entity)
        ground.rows.run("set_meta", key=SCRUB_DUE, value=1)
        self._words.scour()
        return answers, messages, self._texts

    def _take_together(self) -> None:
        """Remove what is looked for by the space alone, of all that was taken."""
        rows = self._ground.rows
        which = {
            "ids": _json(self._taken),
            "nowhere": _json(self._nowhere),
            "spaces": _json(space for space, _ in self._under),
        }
        self._texts |= {row[0] for row in rows.all("names_had", **which)} - {""}
        for table in TOGETHER:
            self.removed[table] += rows.count(f"purge_{table}", **which)

    # What it said

    def _versions(self, entity: int, space: int) -> Iterator[Stored]:
        """Every version that a space holds of an entity, newest first."""
        before = self._ground.view_as(View((Layer(space),), ("",)))
        try:
            below: int | None = None
            while page := self._known.history(entity, below, PAGE):
                yield from page
                below = page[-1].version
        finally:
            self._ground.view_as(before)

    def _thaw(self, gone: Gone, entity: int, spaces: list[int]) -> int:
        """Take the entity out of the files of cold storage; how many versions and messages of it lay there."""
        count = 0
        known = {(space, version) for space, version, _ in gone.crcs}
        for group in self._cold.taken_out(entity, spaces):
            for version in group.versions:
                count += 1
                self._texts |= set(strings(version))
                if (group.space, version["version"]) not in known:
                    gone.crcs.append((group.space, version["version"], crc(msgspec.msgpack.encode(version))))
                gone.first = min(gone.first, version["began"])
            for message in group.messages:
                count += 1
                self._texts |= {message["content"], message["speaker"], *strings(message["metadata"])}
        return count

    def _gather(self, state: State) -> None:
        self._texts |= {
            state.name,
            *state.tags,
            *(noted.text for noted in state.observations),
            *(said for noted in state.observations if noted.extra and (said := noted.extra.get("said"))),
        }
        self._texts |= set(strings(state.properties))

    def _gather_rows(self, which: dict[str, Any]) -> None:
        ground = self._ground
        for _, _, _, metadata in ground.rows.all("relations_said", **which):
            if metadata:
                self._texts |= set(strings(msgspec.msgpack.decode(metadata)))
        after = 0
        while rows := ground.rows.all("messages_said", after=after, limit=PAGE, **which):
            for number, speaker, checksum, body in rows:
                line = ground.line(body, checksum)
                self._texts |= {line.content, speaker, *strings(line.metadata)}
                after = number
        self._texts.discard("")

    # Who repeats it

    def _answers(self) -> int:
        """Answers hold names and new observations as they are; those of any request that told one of the texts go."""
        ground = self._ground
        parts = self._parts()
        # What is not sought as a part of a text is sought as a whole one, as answers are packed: unpacking takes longer than all else.
        whole = [pack_value(text) for text in self._texts.difference(part.decode() for part in parts)]
        packed = whole if len(whole) <= WHOLE else [b""]
        dropped: list[dict[str, Any]] = []
        uid, key = -1, ""
        while rows := ground.rows.all("answers_page", uid=uid, last=key, limit=PAGE):
            for uid, key, _, answer in rows:
                raw = ground.codec.unsqueeze(answer)
                if any(part in raw for part in parts) or (
                    any(one in raw for one in packed) and not self._texts.isdisjoint(strings(unpack_value(raw)))
                ):
                    dropped.append({"uid": uid, "key": key})
        ground.rows.many("drop_answer", dropped)
        return len(dropped)

    def _messages(self) -> int:
        """What was said about changes, of whatever entity, may repeat it."""
        parts = self._parts()
        found = [
            {"number": number}
            for number, message in self._ground.rows.all("messages_of_changes")
            if message in self._texts or any(part in message.encode() for part in parts)
        ]
        self._ground.rows.many("blank_message", found)
        return len(found)

    def _parts(self) -> list[bytes]:
        long = sorted((text for text in self._texts if len(text) >= PART_CHARS), key=len, reverse=True)
        return [text.encode() for text in long[:PARTS]]


def _json(ids: Iterable[int]) -> str:
    return msgspec.json.encode(sorted(ids)).decode()
