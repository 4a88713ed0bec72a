"""A conversation and its window."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from enhanced_memory.client.adapters.chronicle.database_manager import DatabaseManager
from enhanced_memory.client.adapters.chronicle.failing import loud
from enhanced_memory.client.adapters.chronicle.persistent_memory import SESSION_TYPE, PersistentMemory
from enhanced_memory.client.adapters.windows import AIMessage, BufferWindow, HumanMessage, SystemMessage, WindowMessage
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.values import MessageInput

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
        self.conversation_id = conversation_id
        self.window_size = window_size
        self._window: deque[WindowMessage] = deque(maxlen=window_size)
        self.memory = BufferWindow(self._window)
        if conversation_id is not None:
            self._load(conversation_id)

    def _load(self, conversation_id: int) -> None:
        memory = self.db_manager.memory
        memory.list_sessions([conversation_id])
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
        said = dict(metadata or {})
        said |= {key: value for key, value in (("agent_name", agent), ("llm_provider", provider)) if value}
        line = MessageInput(
            content, role, speaker=agent or "", at=datetime.now(UTC), provider=provider or "", metadata=said
        )
        told = self.db_manager.outbox.send(AppendMessages(self.conversation_id, [line]))
        self._window.append(_as_window(role, content, agent, said))
        assert line.at is not None
        return Message(
            told.ids[0] if told else 0, self.conversation_id, role, content, line.at, agent, provider,
            len(content.split()), said,
        )  # fmt: skip

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
        made = self.db_manager.memory.start_session(
            session_type=SESSION_TYPE, title=title or f"Conversation {datetime.now(UTC):%Y-%m-%d %H:%M}"
        )
        self.conversation_id = made.id
        self._window.clear()
        return made.id

    def get_conversation_summary(self) -> str | None:
        """The conversation's summary; None where there is none."""
        if self.conversation_id is None:
            return None
        return PersistentMemory(self.db_manager).get_conversation_summary(self.conversation_id)

    @loud
    def update_conversation_summary(self, summary: str) -> None:
        """Give the conversation a summary."""
        if self.conversation_id is not None:
            self.db_manager.memory.keep_summary(self.conversation_id, text=summary)


def _as_window(role: str, content: str, agent: str | None, metadata: Mapping[str, Any]) -> WindowMessage:
    kinds = {"assistant": AIMessage, "system": SystemMessage}
    return kinds.get(role, HumanMessage)(content, additional_kwargs=dict(metadata), name=agent)
