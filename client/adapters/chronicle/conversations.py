"""Conversations that outlive their windows: listed, put away, deleted, searched, summed up."""

from datetime import UTC, datetime

from enhanced_memory.client.adapters.chronicle.database_manager import DatabaseManager
from enhanced_memory.client.adapters.chronicle.failing import Row, loud, quiet, rows, text
from enhanced_memory.client.adapters.outbox import deferred
from enhanced_memory.client.adapters.records import Records
from enhanced_memory.client.errors import NotFound
from enhanced_memory.client.sync import Memory
from enhanced_memory.client.values import Filter, MessageInput

__all__ = ["SESSION_TYPE", "Conversations"]

SESSION_TYPE = "conversation"
PAGE = 1000
FOUND = 200
"""Hits of a search that are looked at."""
OLD = datetime.min.replace(tzinfo=UTC)
SUMMARY: Row = {"key_events": [], "character_developments": {}, "plot_points": []}
"""What a summary's dictionary has beside its text, and what stands where nothing was said."""


class Conversations:
    """Reads and keeps conversations."""

    def __init__(self, database_manager: DatabaseManager) -> None:
        self.db_manager = database_manager
        self._characters = Records(database_manager.memory, "character")
        self._summaries = Records(database_manager.memory, "summary")

    @property
    def _memory(self) -> Memory:
        return self.db_manager.memory

    @quiet(rows)
    def get_conversations(self, limit: int = 50, include_inactive: bool = False) -> list[Row]:
        """The conversations in which something happened last, newest first."""
        found: list[Row] = []
        cursor: str | None = None
        while len(found) < limit:
            page = self._memory.list_sessions(
                status="all" if include_inactive else "current", session_types=[SESSION_TYPE],
                limit=min(limit - len(found), PAGE), cursor=cursor,
            )  # fmt: skip
            found += [
                {
                    "id": one.id, "title": one.title, "created_at": one.started_at, "updated_at": one.updated_at,
                    "is_active": one.archived_at is None, "summary": one.summary or None, "message_count": one.messages,
                }
                for one in page.sessions
            ]  # fmt: skip
            cursor = page.cursor
            if cursor is None:
                break
        return found

    @loud
    @deferred(told=True)
    def begin_conversation(self, title: str) -> int:
        """Begin a conversation; its id."""
        return self._memory.start_session(session_type=SESSION_TYPE, title=title).id

    @loud
    @deferred(0)
    def append_message(
        self,
        conversation_id: int,
        content: str,
        role: str,
        at: str,
        agent_name: str = "",
        llm_provider: str = "",
        metadata: Row | None = None,
    ) -> int:
        """Append what was said at a time (in ISO's form); the message's id, 0 while it waits."""
        line = MessageInput(
            content, role, speaker=agent_name, at=datetime.fromisoformat(at), provider=llm_provider,
            metadata=metadata or {},
        )  # fmt: skip
        return self._memory.append_messages(conversation_id, [line]).ids[0]

    @loud
    @deferred()
    def update_conversation_summary(self, conversation_id: int, summary: str) -> None:
        """Give a conversation a summary."""
        self._memory.keep_summary(conversation_id, text=summary)

    @loud
    @deferred(True)
    def archive_conversation(self, conversation_id: int) -> bool:
        """Put a conversation away; False where there is none such."""
        try:
            self._memory.archive_session(conversation_id)
        except NotFound:
            return False
        return True

    @quiet(lambda: False)
    @deferred(True)
    def delete_conversation(self, conversation_id: int) -> bool:
        """Delete a conversation with its messages, characters and summaries, all at once; False where there is none such."""
        try:
            self._memory.list_sessions([conversation_id])
        except NotFound:
            return False
        related = [one.id for one in self._characters.every(Filter("conversation", equal=conversation_id))]
        related += [one.id for one in self._summaries.every(Filter("session", equal=conversation_id))]
        self._memory.delete_entities([conversation_id, *related])
        return True

    @quiet(text)
    def get_conversation_summary(self, conversation_id: int) -> str | None:
        """A conversation's summary; None where there is none."""
        try:
            meant = self.db_manager.outbox.meant(conversation_id)
            return self._memory.list_sessions([meant]).sessions[0].summary or None
        except NotFound:
            return None

    @quiet(rows)
    def search_conversations(self, query: str, limit: int = 20) -> list[Row]:
        """Conversations whose title, summary or messages hold the query, or its words; archived ones too, newest first."""
        if not query.strip():
            return []
        found = self._memory.search_nodes(query, limit=FOUND, types=["session"], substring=True).hits
        ids = {hit.entity.id: None for hit in found}
        # A character speaks in a stream, too, which is no conversation.
        said = self._memory.search_streams(query, limit=FOUND, types=["session"]).hits
        ids |= {hit.stream: None for hit in said}
        known: list[int | str] = list(ids)
        sessions = self._memory.list_sessions(known).sessions if known else []
        rows = [
            {"id": one.id, "title": one.title, "summary": one.summary or None, "updated_at": one.updated_at}
            for one in sorted(sessions, key=lambda one: (one.updated_at or OLD, one.id), reverse=True)
            if one.session_type == SESSION_TYPE
        ]
        return rows[:limit]

    @loud
    @deferred(told=True)
    def save_conversation_summary(
        self,
        conversation_id: int,
        summary_text: str,
        key_events: list[str] | None = None,
        character_developments: Row | None = None,
        plot_points: list[str] | None = None,
        message_range_start: int | None = None,
        message_range_end: int | None = None,
    ) -> int:
        """Keep a summary of some messages beside the conversation; its id."""
        said = {
            "session": conversation_id, "key_events": key_events or [],
            "character_developments": character_developments or {}, "plot_points": plot_points or [],
            "first": message_range_start, "last": message_range_end,
        }  # fmt: skip
        return self._summaries.add(f"Summary of conversation {conversation_id}", said, text=summary_text)

    @quiet(rows)
    def get_conversation_summaries(self, conversation_id: int) -> list[Row]:
        """The summaries kept of a conversation, oldest first."""
        return [
            {"id": one.id, "conversation_id": conversation_id, "summary_text": (one.observations or [""])[0]}
            | {key: one.properties.get(key, empty) for key, empty in SUMMARY.items()}
            | {
                "message_range_start": one.properties.get("first"), "message_range_end": one.properties.get("last"),
                "created_at": one.created_at,
            }
            for one in self._summaries.every(Filter("session", equal=conversation_id))
        ]  # fmt: skip
