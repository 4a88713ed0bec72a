"""A conversation and its window."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from enhanced_memory.client.adapters.chronicle.database_manager import DatabaseManager
from enhanced_memory.client.adapters.chronicle.failing import loud
from enhanced_memory.client.adapters.chronicle.persistent_memory import PersistentMemory
from enhanced_memory.client.adapters.documents import mapping
from enhanced_memory.client.adapters.windows import AIMessage, BufferWindow, HumanMessage, SystemMessage, WindowMessage
from enhanced_memory.client.errors import NotFound

__all__ = ["ConversationMemory", "Message"]

LOADED = 1000
"""Messages that a window is filled with at the most."""


@dataclass(frozen=True)
class Message:
    """A message of a conversation. `id` is 0 while it waits for a daemon that is away."""

    id: int
    conversation_id: int
    role: str
    content: str
    timestamp: datetime
    agent_name: str | None = None
    llm_provider: str | None = None
    token_count: int = 0
    """Its words, as the original counts; what a model's window costs is the daemon's own estimate."""
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])


class ConversationMemory:
    """A conversation's window: its newest `window_size` messages, written to the daemon before they are seen here.

    `NotFound` for a conversation that there is not.
    """

    def __init__(
        self, database_manager: DatabaseManager, conversation_id: int | None = None, window_size: int = 20
    ) -> None:
        self.db_manager = database_manager
        self._number = conversation_id
        self.window_size = window_size
        self._window: deque[WindowMessage] = deque(maxlen=window_size)
        self.memory = BufferWindow(self._window)
        if conversation_id is not None:
            self._load(conversation_id)

    @property
    def conversation_id(self) -> int | None:
        """The conversation; below 0 while it waits for a daemon that is away."""
        if self._number is not None and self._number < 0:
            self._number = self.db_manager.outbox.meant(self._number)
        return self._number

    @conversation_id.setter
    def conversation_id(self, number: int | None) -> None:
        self._number = number

    def _load(self, conversation_id: int) -> None:
        conversation_id = self.db_manager.outbox.meant(conversation_id)
        if conversation_id < 0:
            return  # it was begun while the daemon was away, and waits for it
        memory = self.db_manager.memory
        try:
            memory.list_sessions([conversation_id])
        except NotFound:
            raise NotFound(f"There is no conversation {conversation_id}.", "see `get_conversations`") from None
        found = memory.recent_messages(conversation_id, min(self.window_size, LOADED))
        self._window.extend(
            _as_window(one.role, one.content, one.speaker or None, one.metadata) for one in found.messages
        )

    def add_user_message(self, content: str, metadata: Mapping[str, Any] | None = None) -> Message:
        """Append what the user said."""
        return self._add("user", content, None, None, metadata)

    def add_assistant_message(
        self,
        content: str,
        agent_name: str | None = None,
        llm_provider: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Message:
        """Append what an agent said. Its name and provider stand in the metadata, too."""
        return self._add("assistant", content, agent_name, llm_provider, metadata)

    def add_system_message(self, content: str, metadata: Mapping[str, Any] | None = None) -> Message:
        """Append an instruction."""
        return self._add("system", content, None, None, metadata)

    @loud
    def _add(
        self, role: str, content: str, agent: str | None, provider: str | None, metadata: Mapping[str, Any] | None
    ) -> Message:
        if self.conversation_id is None:
            self.create_new_conversation()
        assert self.conversation_id is not None
        said = mapping(metadata or {}, "metadata")
        said |= {key: value for key, value in (("agent_name", agent), ("llm_provider", provider)) if value}
        at = datetime.now(UTC)
        number = PersistentMemory(self.db_manager).append_message(
            self.conversation_id, content, role, at.isoformat(), agent or "", provider or "", said
        )
        self._window.append(_as_window(role, content, agent, said))
        return Message(number, self.conversation_id, role, content, at, agent, provider, len(content.split()), said)

    def get_messages(self, limit: int | None = None) -> list[WindowMessage]:
        """The window's messages, oldest first; of a `limit`, the last ones. None and 0: all of them."""
        found = list(self._window)
        return found[-limit:] if limit else found

    def get_context_messages(self) -> list[dict[str, str]]:
        """The window as language models take it."""
        return [{"role": one.role, "content": one.content} for one in self._window]

    def clear_memory(self) -> None:
        """Empty the window; what was said stays in the conversation."""
        self._window.clear()

    @loud
    def create_new_conversation(self, title: str | None = None) -> int:
        """Begin a conversation and go on in it; its id."""
        number = PersistentMemory(self.db_manager).begin_conversation(
            title or f"Conversation {datetime.now(UTC):%Y-%m-%d %H:%M}"
        )
        self.conversation_id = number
        self._window.clear()
        return number

    def get_conversation_summary(self) -> str | None:
        """The conversation's summary; None where there is none."""
        if self.conversation_id is None:
            return None
        return PersistentMemory(self.db_manager).get_conversation_summary(self.conversation_id)

    @loud
    def update_conversation_summary(self, summary: str) -> None:
        """Give the conversation a summary."""
        if self.conversation_id is not None:
            PersistentMemory(self.db_manager).update_conversation_summary(self.conversation_id, summary)


def _as_window(role: str, content: str, agent: str | None, metadata: Mapping[str, Any]) -> WindowMessage:
    kinds = {"assistant": AIMessage, "system": SystemMessage}
    return kinds.get(role, HumanMessage)(content, additional_kwargs=dict(metadata), name=agent)
