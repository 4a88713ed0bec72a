"""Entities: the one way in which they change.

A change never edits: it makes a version. The state given becomes the head row, the state before goes to `versions` as a
delta, and names, tags, properties and passages begin and end by what differs. In an overlay the first change of a parent's
entity makes a row of its own there, which hides the parent's from then on.
"""

from typing import Any

import msgspec

from enhanced_memory.client.errors import Conflict
from enhanced_memory.daemon.kinds import kind_of
from enhanced_memory.daemon.store import derived
from enhanced_memory.daemon.store.bodies import State, crc, delta, undelta
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.known import KEYFRAME, Stored, shown
from enhanced_memory.daemon.store.lineage import Lineage
from enhanced_memory.daemon.store.words import Words

__all__ = ["Entities"]

_NOBODYS = frozenset(("autonomous_curation", "undo", "redo"))
"""Operations after which a memory is as old as before: curation's, and what takes it back."""


class Entities(Lineage):
    """Reads and writes entities."""

    def __init__(self, ground: Ground, words: Words) -> None:
        super().__init__(ground)
        self._words = words

    def create(self, state: State, scope: str = "") -> Stored:
        """Write a new entity. `Conflict` where its name is taken."""
        ground = self._ground
        counters = ground.counters
        counters.entity += 1
        entity = counters.entity
        kind = kind_of(state.type)
        scope = scope or ("" if kind.scope == "shared" else state.type if kind.scope == "type" else f"#{entity}")
        if len(ground.view.layers) > 1 and self.named(state.name, scope) is not None:
            raise self._taken(state.name)
        return self._begin(entity, state, scope, version=1, before=0, act="create")

    def admit(self, entity: int, state: State, scope: str, act: str) -> Stored:
        """Write an entity that this space does not know under the id that it has elsewhere. `Conflict` where its name is taken."""
        if self.named(state.name, scope) is not None:
            raise self._taken(state.name)
        return self._begin(entity, state, scope, version=1, before=0, act=act)

    def change(
        self, old: Stored, state: State, *, act: str = "update", deleted: bool = False, expected: int | None = None
    ) -> Stored:
        """Make `state` what the entity says from now on. `Conflict` where its version is not the `expected` one, or the new name is taken.

        Without an `act` it is not noted: a change that goes on with what it did has noted it.
        """
        if expected is not None and expected != old.version:
            raise Conflict(
                f"{shown(old.state.name)} is at version {old.version}, not {expected}.",
                "read it again and repeat the change on what it says now",
            )
        if (
            (state.name != old.state.name or old.deleted)
            and not deleted
            and self.named(state.name, old.scope) not in (None, old.id)
        ):
            raise self._taken(state.name)
        if self._ground.call.ask.op not in _NOBODYS:
            state.attributes.pop("touched", None)
        if old.space != self._ground.space:
            state.attributes["born"] = old.created_at
        elif "born" in old.state.attributes:
            state.attributes["born"] = old.state.attributes["born"]
        if old.space != self._ground.space:
            return self._begin(
                old.id, state, old.scope, version=old.version + 1, before=old.version, act=act, deleted=deleted
            )
        return self._go_on(old, state, act, deleted)

    def _begin(
        self, entity: int, state: State, scope: str, *, version: int, before: int, act: str, deleted: bool = False
    ) -> Stored:
        """Write the first row that the caller's space has of an entity."""
        ground = self._ground
        ground.permit(entity)
        number, space = ground.number, ground.space
        raw, stored = ground.codec.pack(state)
        checksum = crc(raw)
        ground.rows.run(
            "add_entity", space=space, id=entity, scope=scope, version=version, first=number, began=number, deleted=deleted,
            **derived.columns(state), text_bytes=(size := derived.text_bytes(state)), crc=checksum, body=stored,
        )  # fmt: skip
        if not deleted:
            self._name(entity, state.name, scope)
            self._index(entity, derived.tags(state), derived.properties(state))
            texts = [(part, name, body) for part, (name, body) in derived.texts(state).items()]
            ground.begun = (space, entity, self._words.add(entity, texts))
        ground.note("entity", entity, act, before, version)
        return Stored(
            entity, space, scope, version, number, number, deleted, size, checksum, len(stored), raw, state, ground.now, ground.now, 0, 0
        )  # fmt: skip

    def _go_on(self, old: Stored, state: State, act: str, deleted: bool) -> Stored:
        """Write the next version of an entity that the caller's space has a row of. A second change in one request goes into the same version."""
        ground = self._ground
        ground.permit(old.id)
        number, space, rows = ground.number, ground.space, ground.rows
        raw, stored = ground.codec.pack(state)
        checksum = crc(raw)
        again = old.began == number
        version = old.version if again else old.version + 1
        if not again:
            whole = old.version % KEYFRAME == 0
            rows.run(
                "add_version", space=space, entity=old.id, version=old.version, began=old.began, ended=number, deleted=old.deleted,
                whole=whole, crc=old.crc, body=ground.codec.squeeze(old.raw) if whole else delta(old.raw, raw),
            )  # fmt: skip
        elif version > 1:
            self._rebase(old, raw)
        rows.run(
            "set_entity", space=space, id=old.id, version=version, began=number, deleted=deleted,
            **derived.columns(state), text_bytes=(size := derived.text_bytes(state)), crc=checksum, body=stored,
        )  # fmt: skip
        was, now = (not old.deleted), (not deleted)
        before, after = (old.state if was else None), (state if now else None)
        if (before and before.name) != (after and after.name):
            if before:
                self._unname(before.name, old.scope)
            if after:
                self._name(old.id, after.name, old.scope)
        self._reindex(old.id, before, after)
        if act:
            ground.note("entity", old.id, act, old.version, version)
        kept = kind_of(state.type).versions
        if kept is not None and not again:
            self._prune(old.id, version - kept)
        return msgspec.structs.replace(
            old, version=version, began=number, deleted=deleted, text_bytes=size, crc=checksum, stored_bytes=len(stored),
            raw=raw, state=state, updated_at=ground.now,
        )  # fmt: skip

    def _prune(self, entity: int, upto: int) -> None:
        """Let go of the versions up to one, but for those that a branch or a snapshot still sees, and say so in the journal."""
        ground = self._ground
        oldest = self.oldest_version(entity, ground.space)
        if oldest is None or oldest > upto:
            return
        if ground.rows.count("prune_versions", space=ground.space, entity=entity, version=upto):
            left = self.oldest_version(entity, ground.space)
            ground.note("entity", entity, "prune", oldest, upto if left is None else left - 1)

    def _rebase(self, old: Stored, raw: bytes) -> None:
        """The version before was kept as a difference from a state that is now replaced within its own change: write the difference anew."""
        row = self._ground.rows.one("version_row", space=self._ground.space, entity=old.id, version=old.version - 1)
        if row is not None and not row[0]:
            before = undelta(row[2], old.raw, row[1])
            self._ground.rows.run(
                "set_version_body",
                space=self._ground.space,
                entity=old.id,
                version=old.version - 1,
                body=delta(before, raw),
            )

    def _name(self, entity: int, name: str, scope: str) -> None:
        ground = self._ground
        if not ground.rows.count(
            "add_name", space=ground.space, name=name, scope=scope, began=ground.number, entity=entity
        ):
            raise self._taken(name)

    def _unname(self, name: str, scope: str) -> None:
        ground = self._ground
        ground.rows.run("drop_name_begun", space=ground.space, name=name, scope=scope, number=ground.number)
        ground.rows.run("end_name", space=ground.space, name=name, scope=scope, number=ground.number)

    def _index(self, entity: int, tags: set[str], properties: set[tuple[str, Any]]) -> None:
        ground = self._ground
        space, number = ground.space, ground.number
        if tags:
            ground.rows.many(
                "add_tag", [{"space": space, "tag": tag, "entity": entity, "began": number} for tag in tags]
            )
        if properties:
            ground.rows.many(
                "add_property",
                [
                    {"space": space, "key": key, "value": value, "entity": entity, "began": number}
                    for key, value in properties
                ],
            )

    def _reindex(self, entity: int, before: State | None, after: State | None) -> None:
        """End what no longer holds of tags, properties and passages, and begin what is new."""
        ground = self._ground
        space, number, rows = ground.space, ground.number, ground.rows
        tags = (derived.tags(before), derived.tags(after))
        properties = (derived.properties(before), derived.properties(after))
        gone = [{"space": space, "tag": tag, "entity": entity, "number": number} for tag in tags[0] - tags[1]]
        lost = [
            {"space": space, "key": key, "value": value, "entity": entity, "number": number}
            for key, value in properties[0] - properties[1]
        ]
        for name, ended in (("tag", gone), ("property", lost)):
            if ended:
                rows.many(f"drop_{name}_begun", ended)
                rows.many(f"end_{name}", ended)
        self._index(entity, tags[1] - tags[0], properties[1] - properties[0])
        texts = (derived.texts(before), derived.texts(after))
        self._words.change(entity, *texts)

    def _taken(self, name: str) -> Conflict:
        return Conflict(
            f"The name {shown(name)} is taken in space {self._ground.call.peer.space!r}.",
            "choose another name, or rename or delete the one that has it",
        )
