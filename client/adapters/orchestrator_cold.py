"""The orchestrator's archive: sessions that are put away, and their memories in cold storage."""

from typing import Any

from enhanced_memory.client.adapters.orchestrator_rows import ENTRY, memory_row
from enhanced_memory.client.adapters.orchestrator_sessions import Sessions
from enhanced_memory.client.errors import StoreDamaged
from enhanced_memory.client.operations.cold import ArchiveEntities, ListArchived
from enhanced_memory.client.operations.entities import DeleteEntities, ListEntities, RestoreEntities, UpdateEntity
from enhanced_memory.client.values import Filter, Ref

__all__ = ["ColdSessions"]

PAGE = 1000
BATCH = 500


class ColdSessions(Sessions):
    """Puts sessions away, takes them up again, and deletes them with all that they hold."""

    def archive_session(self, session_id: str, *, cold: bool = False) -> int:
        """Mark a session as archived. Its memories stay where they are and are found; or (`cold`) they move to cold storage.

        How many moved. There they are listed (`archived_memories`), and `restore_session` brings them back. What cannot go,
        because a branch sees it, say, stays and is found.
        """
        self._change(self._session(session_id), {"is_archived": True})
        if not cold:
            return 0
        self.accesses.flush()
        # Named, not by conditions: what cannot go would be met first again and again.
        asked = ListEntities(types=[ENTRY], where=[Filter("session", equal=session_id)])
        ids: list[Ref] = [one.id for one in self._pages(asked, None)]
        return sum(
            len(self.memory.send(ArchiveEntities(ids[at : at + BATCH], message="cold storage")).ids)
            for at in range(0, len(ids), BATCH)
        )

    def archived_memories(self, session_id: str | None = None, *, containing: str = "") -> list[dict[str, Any]]:
        """The rows of memories in cold storage, of one session or of all; `containing` reads the files for a text."""
        said: dict[str, str | int | float | bool] = {} if session_id is None else {"session": session_id}
        rows: list[dict[str, Any]] = []
        cursor: str | None = None
        while True:
            page = self.memory.send(
                ListArchived(
                    types=[ENTRY], properties=said, containing=containing, contents=True, limit=PAGE, cursor=cursor
                )
            )
            for one in page.entities:
                if one.problem:
                    raise StoreDamaged(one.problem)
                rows += [memory_row(one.entity)] if one.entity is not None else []
            cursor = page.cursor
            if cursor is None:
                return rows

    def restore_session(self, session_id: str) -> int:
        """Take an archived session up again, its memories out of cold storage included; how many those were."""
        found = self._session(session_id)
        back = self._from_cold(session_id)
        self._change(found, {"is_archived": False})
        return back

    def delete_session(self, session_id: str, *, keep_permanent: bool = False) -> int:
        """Delete a session and its memories with their tags, embeddings and relationships; how many memories those were.

        Those in cold storage go, too. `keep_permanent` keeps memories that never expire, without their session. Agent states stay,
        without their session. Softly: `undo` brings all of it back. `NotFound` where there is no such session.
        """
        found = self._session(session_id)
        self._from_cold(session_id)
        # Before its memories, so that nothing new comes in meanwhile.
        self.memory.send(DeleteEntities([found.id]))
        gone = 0
        kept: set[int] = set()
        where = [Filter("session", equal=session_id)]
        for one in self._pages(ListEntities(types=[ENTRY], where=where), None):
            if keep_permanent and one.expires_at is None:
                self.memory.send(UpdateEntity(one.id, properties={"session": None}))
                kept.add(one.id)
        while page := [
            one
            for one in self.memory.list_entities(types=[ENTRY], where=where, limit=PAGE).entities
            if one.id not in kept
        ]:
            with self.accesses.noted("delete", session=session_id) as noted:
                ids = self.accesses.send(DeleteEntities([one.id for one in page])).ids
                noted.about = ids
            gone += len(ids)
        self._empty_states(session_id)
        return gone

    def _from_cold(self, session_id: str) -> int:
        """Bring a session's memories back out of cold storage; how many those were."""
        back = 0
        cursor: str | None = None
        while True:
            page = self.memory.send(
                ListArchived(types=[ENTRY], properties={"session": session_id}, limit=BATCH, cursor=cursor)
            )
            if page.entities:
                self.memory.send(RestoreEntities([one.id for one in page.entities]))
            back += len(page.entities)
            cursor = page.cursor
            if cursor is None:
                return back
