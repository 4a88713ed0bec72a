"""Everything in one place, as Chronicle Weaver's agents ask for it."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from enhanced_memory.client.adapters.chronicle.conversation_memory import ConversationMemory
from enhanced_memory.client.adapters.chronicle.conversations import PAGE
from enhanced_memory.client.adapters.chronicle.database_manager import DatabaseManager
from enhanced_memory.client.adapters.chronicle.failing import Row
from enhanced_memory.client.adapters.chronicle.persistent_memory import PersistentMemory
from enhanced_memory.client.adapters.chronicle.summarization import ConversationSummarizer
from enhanced_memory.client.errors import Error
from enhanced_memory.client.sync import Memory
from enhanced_memory.client.values import Message

__all__ = ["MemoryManager"]

log = logging.getLogger(__name__)

FEWEST = 5
"""Messages below which a conversation is not summed up."""


class MemoryManager:
    """Everything in one place: conversations, what outlives them, summaries, context."""

    def __init__(self, database_url: str | None = None, *, memory: Memory | None = None) -> None:
        self.db_manager = DatabaseManager(database_url, memory=memory)
        self.persistent_memory = PersistentMemory(self.db_manager)
        self.summarizer = ConversationSummarizer()
        self.active_conversations: dict[int, ConversationMemory] = {}

    def get_conversation_memory(self, conversation_id: int | None = None) -> ConversationMemory:
        """A conversation's window, loaded if need be; a new conversation without an id."""
        if conversation_id is None:
            return self.start_new_conversation()[1]
        known = self.active_conversations.get(conversation_id)
        if known is None:
            known = self.active_conversations[conversation_id] = ConversationMemory(self.db_manager, conversation_id)
        return known

    def start_new_conversation(self, title: str | None = None) -> tuple[int, ConversationMemory]:
        """A new conversation: its id and its window."""
        memory = ConversationMemory(self.db_manager)
        number = memory.create_new_conversation(title)
        self.active_conversations[number] = memory
        return number, memory

    def summarize_conversation(self, conversation_id: int, force: bool = False) -> str | None:
        """The conversation's summary; made, and kept, where there is none or `force` asks. None for fewer than five messages.

        None too, and a log line, while no daemon answers: there is nothing to read then, so nothing waits.
        """
        try:
            self.db_manager.outbox.flush()  # what waits belongs to it
            conversation_id = self.db_manager.outbox.meant(conversation_id)
            known = self.persistent_memory.get_conversation_summary(conversation_id)
            if known and not force:
                return known
            lines = self._lines(conversation_id)
            if len(lines) < FEWEST:
                return None
            summary = self.summarizer.create_summary(lines)
            self.persistent_memory.update_conversation_summary(conversation_id, summary)
        except Error:
            log.exception("conversation %s was not summed up", conversation_id)
            return None
        return summary

    def _lines(self, conversation_id: int) -> list[str]:
        lines: list[Message] = []
        cursor: str | None = None
        while True:
            page = self.db_manager.memory.messages_by(conversation_id, limit=PAGE, cursor=cursor, archived=True)
            lines += page.messages
            cursor = page.cursor
            if cursor is None:
                return [f"{one.role}: {one.content}" for one in lines]

    def get_relevant_context(self, query: str, conversation_id: int | None = None, limit: int = 5) -> dict[str, Any]:
        """Characters and props (three each), earlier conversations and the present one's summary that bear on a query."""
        memory = self.persistent_memory
        context: dict[str, Any] = {"characters": memory.search_characters(query, 3)}
        context["props"] = self._props(query)
        earlier = memory.search_conversations(query, limit + 1)
        context["previous_conversations"] = [one for one in earlier if one["id"] != conversation_id][:limit]
        context["current_conversation_summary"] = (
            memory.get_conversation_summary(conversation_id) if conversation_id is not None else None
        )
        return context

    def _props(self, query: str) -> list[Row]:
        known = {one["id"]: one for one in self.persistent_memory.get_prop_items(limit=1 << 31)}
        named = [one for one in known.values() if one["name"].casefold() in query.casefold()]
        try:
            hits = self.db_manager.memory.search_nodes(query, limit=20, types=["prop"]).hits
        except Error:
            hits = []
        found = [*named, *(known[hit.entity.id] for hit in hits if hit.entity.id in known)]
        return list({one["id"]: one for one in found}.values())[:3]

    def save_character_state(self, character_data: Mapping[str, Any]) -> int:
        """As `PersistentMemory` does."""
        return self.persistent_memory.save_character_state(character_data)

    def get_character_states(self, conversation_id: int | None = None) -> list[Row]:
        """As `PersistentMemory` does."""
        return self.persistent_memory.get_character_states(conversation_id)

    def save_prop_item(self, prop_data: Mapping[str, Any]) -> int:
        """As `PersistentMemory` does."""
        return self.persistent_memory.save_prop_item(prop_data)

    def get_prop_items(self, **kwargs: Any) -> list[Row]:
        """As `PersistentMemory` does."""
        return self.persistent_memory.get_prop_items(**kwargs)

    def save_agent_configuration(self, agent_data: Mapping[str, Any]) -> int:
        """As `PersistentMemory` does."""
        return self.persistent_memory.save_agent_configuration(agent_data)

    def get_agent_configurations(self, enabled_only: bool = False) -> list[Row]:
        """As `PersistentMemory` does."""
        return self.persistent_memory.get_agent_configurations(enabled_only)

    def get_conversations(self, limit: int = 50) -> list[Row]:
        """As `PersistentMemory` does."""
        return self.persistent_memory.get_conversations(limit)

    def archive_conversation(self, conversation_id: int) -> bool:
        """Put a conversation away, and its window with it."""
        self.active_conversations.pop(conversation_id, None)
        return self.persistent_memory.archive_conversation(conversation_id)

    def delete_conversation(self, conversation_id: int) -> bool:
        """Delete a conversation and all that belongs to it, and its window with it."""
        self.active_conversations.pop(conversation_id, None)
        return self.persistent_memory.delete_conversation(conversation_id)

    def cleanup_old_data(self, days_to_keep: int = 90) -> None:
        """Sum up archived conversations in which nothing happened for so many days, and pack their messages away.

        Nothing is lost: searches and exports still find what was said, and the summary stays. While no daemon answers nothing is
        done, a log line says so, and the next call does it.
        """
        try:
            self.db_manager.outbox.flush()  # what waits was said, too
        except Error as problem:
            log.warning("nothing was cleaned up: %s", problem)
            return
        before = datetime.now(UTC) - timedelta(days=days_to_keep)
        for one in self.persistent_memory.get_conversations(1 << 31, include_inactive=True):
            if one["is_active"] or one["updated_at"] is None or one["updated_at"] > before:
                continue
            self.summarize_conversation(one["id"], force=not one["summary"])
            self.db_manager.memory.archive_messages(one["id"], everything=True)

    def close(self) -> None:
        """Send what waits and end the connection."""
        self.active_conversations.clear()
        self.db_manager.close()
