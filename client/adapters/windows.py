"""A chat window in the shape that users of LangChain's window memory know, without needing that package."""

from collections import deque
from dataclasses import dataclass, field
from typing import Any, ClassVar

__all__ = ["AIMessage", "BufferWindow", "HumanMessage", "SystemMessage", "WindowMessage"]


@dataclass(frozen=True)
class WindowMessage:
    """A message of a window."""

    content: str
    additional_kwargs: dict[str, Any] = field(default_factory=dict[str, Any])
    name: str | None = None
    type: ClassVar[str] = "chat"
    role: ClassVar[str] = "user"


class HumanMessage(WindowMessage):
    """What the user said."""

    type: ClassVar[str] = "human"


class AIMessage(WindowMessage):
    """What a model said."""

    type: ClassVar[str] = "ai"
    role: ClassVar[str] = "assistant"


class SystemMessage(WindowMessage):
    """An instruction."""

    type: ClassVar[str] = "system"
    role: ClassVar[str] = "system"


class BufferWindow:
    """The window as a memory of LangChain is asked for it."""

    memory_key = "chat_history"
    return_messages = True

    def __init__(self, window: deque[WindowMessage]) -> None:
        self._window = window

    @property
    def messages(self) -> list[WindowMessage]:
        """The window, oldest first."""
        return list(self._window)

    @property
    def chat_memory(self) -> "BufferWindow":
        """What holds `messages`: the window itself."""
        return self

    def load_memory_variables(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """The window under its key."""
        return {self.memory_key: self.messages}

    def clear(self) -> None:
        """Empty the window."""
        self._window.clear()
