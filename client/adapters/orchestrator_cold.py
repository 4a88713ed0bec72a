"""The orchestrator's archive: sessions that are put away, and their memories in cold storage."""

from abc import abstractmethod
from datetime import UTC, datetime
from typing import Any

from enhanced_memory.client.adapters.orchestrator_columns import iso
from enhanced_memory.client.adapters.orchestrator_rows import ENTRY, memory_row
from enhanced_memory.client.adapters.orchestrator_states import Profiles
from enhanced_memory.client.errors import StoreDamaged
from enhanced_memory.client.operations.cold import ArchiveEntities, ListArchived
from enhanced_memory.client.operations.entities import ListEntities, RestoreEntities, UpdateEntity
from enhanced_memory.client.values import Entity, Filter, Ref

__all__ = ["ColdSessions"]

PAGE = 1000
BATCH = 500


class ColdSessions(Profiles):
    """Puts sessions away, and takes them up again."""

    @abstractmethod
    def _session(self, session_id: str) -> Entity: ...

    def archive_session(self, session_id: str, *, cold: bool = False) -> int:
        """Mark a session as archived. Its memories stay where they are and are found; or (`cold`) they move to cold storage.

        How many moved. There they are listed (`archived_memories`), and `restore_session` brings them back. What cannot go,
        because a branch sees it, say, stays and is found.
        """
        self.memory.send(UpdateEntity(self._session(session_id).id, properties={"archived_at": iso(datetime.now(UTC))}))
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
                break
        self.memory.send(UpdateEntity(found.id, properties={"archived_at": None}))
        return back
