# The packages of the extra `langchain` may not be there, and leave parts of their types open:
# pyright: reportMissingImports=false, reportMissingTypeStubs=false, reportUntypedBaseClass=false, reportUnknownMemberType=false
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false, reportUnknownParameterType=false
"""LangChain on the daemon: chat histories, a key-value store, and (from `langgraph_store`) LangGraph's store; both faces."""

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from typing import Any, cast

from enhanced_memory.client.adapters.langgraph_store import EnhancedStore
from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.client.operations.entities import CreateEntities, DeleteEntities, OpenNodes
from enhanced_memory.client.operations.streams import AppendMessages, MessagesBy
from enhanced_memory.client.sync import Memory
from enhanced_memory.client.values import EntityInput, Message, MessageInput

try:
    from langchain_core.chat_history import BaseChatMessageHistory
    from langchain_core.messages import BaseMessage, message_to_dict, messages_from_dict
    from langchain_core.stores import BaseStore
    from langgraph.store.base import GetOp, PutOp
except ImportError as missing:
    raise ImportError(
        "Chat histories for LangChain need its package: pip install 'enhanced-memory[langchain]'"
    ) from missing

__all__ = ["EnhancedChatMessageHistory", "EnhancedKeyValueStore", "EnhancedStore"]

PAGE = 1000
ROLES = {"human": "user", "ai": "assistant"} | {role: role for role in ("system", "tool", "developer", "function")}
"""The roles of messages by LangChain's types, and roles that a session has as they are. Whoever has another one speaks as a user."""
WHOLE = "langchain"
"""Under this key of its metadata a message stands as LangChain had it."""


class EnhancedChatMessageHistory(BaseChatMessageHistory):
    """The messages of one session, each a message of the daemon's stream of that name: searched, windowed and kept as all others.

    What LangChain knows of a message beyond its words (tool calls, ids, parts that are no text) comes back as it was. Messages
    that others appended to the stream come as well. `clear` deletes the session softly and begins another of its name.
    """

    def __init__(self, session_id: str, memory: Memory | None = None, **settings: Any) -> None:
        self.session_id = session_id
        self.memory = memory or Memory(client="langchain", **settings)
        self._own = memory is None
        self._amemory: AsyncMemory | None = None

    @property
    def messages(self) -> list[BaseMessage]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """All messages, the oldest first."""
        found: list[Message] = []
        stream = self._stream(self.memory.send(self._opening()))
        cursor: str | None = None
        while stream is not None:
            page = self.memory.send(MessagesBy(stream, limit=PAGE, cursor=cursor))
            found += page.messages
            if (cursor := page.cursor) is None:
                break
        return [_told(one) for one in found]

    async def aget_messages(self) -> list[BaseMessage]:
        """All messages, the oldest first."""
        client = self._client()
        found: list[Message] = []
        stream = self._stream(await client.send(self._opening()))
        cursor: str | None = None
        while stream is not None:
            page = await client.send(MessagesBy(stream, limit=PAGE, cursor=cursor))
            found += page.messages
            if (cursor := page.cursor) is None:
                break
        return [_told(one) for one in found]

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append messages, all or none of up to 1,000."""
        for ask in self._appending(messages):
            self.memory.send(ask)

    async def aadd_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Append messages, all or none of up to 1,000."""
        for ask in self._appending(messages):
            await self._client().send(ask)

    def clear(self) -> None:
        """Begin anew; what was said is deleted softly."""
        stream = self._stream(self.memory.send(self._opening()))
        if stream is not None:
            self.memory.send(DeleteEntities([stream]))
            self.memory.send(self._anew())

    async def aclear(self) -> None:
        """Begin anew; what was said is deleted softly."""
        stream = self._stream(await self._client().send(self._opening()))
        if stream is not None:
            await self._client().send(DeleteEntities([stream]))
            await self._client().send(self._anew())

    def close(self) -> None:
        """End the connection, unless it was given."""
        if self._own:
            self.memory.close()

    async def aclose(self) -> None:
        """End both connections; the plain one, unless it was given."""
        if self._amemory is not None:
            await self._amemory.close()
        self.close()

    def _client(self) -> AsyncMemory:
        if self._amemory is None:
            self._amemory = AsyncMemory(replace(self.memory.settings, space=self.memory.space), client="langchain")
        return self._amemory

    def _opening(self) -> OpenNodes:
        return OpenNodes([self.session_id], scope="session", relations=False)

    def _anew(self) -> CreateEntities:
        # Whoever else deletes a session means it: appending to it is an error then.
        return CreateEntities([EntityInput(self.session_id, "session")])

    def _stream(self, graph: Any) -> int | None:
        return graph.entities[0].id if graph.entities else None

    def _appending(self, messages: Sequence[BaseMessage]) -> Iterator[AppendMessages]:
        for begin in range(0, len(messages), PAGE):
            # The scope keeps it apart from whatever else is called so: it is read as a session, too.
            batch = [_given(one) for one in messages[begin : begin + PAGE]]
            yield AppendMessages(self.session_id, batch, scope="session")


def _given(message: BaseMessage) -> MessageInput:
    whole = message_to_dict(message)
    kind = cast(str, getattr(message, "role", None) or message.type)
    usage: Any = getattr(message, "usage_metadata", None) or {}
    return MessageInput(
        _text(message),
        role=ROLES.get(kind, "user"),
        speaker=message.name or ("" if kind in ROLES else kind),
        tokens=usage.get("output_tokens") if message.type == "ai" else None,
        metadata={WHOLE: whole},
    )


def _text(message: BaseMessage) -> str:
    """What a message says in words; parts that are no text leave none."""
    if isinstance(message.content, str):
        return message.content
    parts = [one if isinstance(one, str) else one.get("text") for one in message.content]
    return "\n".join(part for part in parts if isinstance(part, str))


def _told(message: Message) -> BaseMessage:
    whole = message.metadata.get(WHOLE)
    if whole is None:  # somebody else's
        kind = {"user": "human", "assistant": "ai", "system": "system"}.get(message.role, "chat")
        data = {"content": message.content, "type": kind, "name": message.speaker or None}
        whole = {"type": kind, "data": data | ({"role": message.role} if kind == "chat" else {})}
    return messages_from_dict([whole])[0]


class EnhancedKeyValueStore(BaseStore[str, Any]):
    """LangChain's key-value store: plain data by key, in a namespace of `EnhancedStore`."""

    def __init__(self, memory: Memory | None = None, *, namespace: str = "langchain", **settings: Any) -> None:
        self.store = EnhancedStore(memory, **settings)
        self.namespace = (namespace,)

    def mget(self, keys: Sequence[str]) -> list[Any]:
        """The values of keys, null for one that is not there."""
        found = self.store.batch([GetOp(self.namespace, key) for key in keys])
        return [None if one is None else one.value["value"] for one in found]

    async def amget(self, keys: Sequence[str]) -> list[Any]:
        """The values of keys, null for one that is not there."""
        found = await self.store.abatch([GetOp(self.namespace, key) for key in keys])
        return [None if one is None else one.value["value"] for one in found]

    def mset(self, key_value_pairs: Sequence[tuple[str, Any]]) -> None:
        """Keep values under keys."""
        self.store.batch([PutOp(self.namespace, key, {"value": value}) for key, value in key_value_pairs])

    async def amset(self, key_value_pairs: Sequence[tuple[str, Any]]) -> None:
        """Keep values under keys."""
        await self.store.abatch([PutOp(self.namespace, key, {"value": value}) for key, value in key_value_pairs])

    def mdelete(self, keys: Sequence[str]) -> None:
        """Delete keys; one that is not there is passed over."""
        self.store.batch([PutOp(self.namespace, key, None) for key in keys])

    async def amdelete(self, keys: Sequence[str]) -> None:
        """Delete keys; one that is not there is passed over."""
        await self.store.abatch([PutOp(self.namespace, key, None) for key in keys])

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        """Every key, or those that begin with `prefix`, in the order of their making."""
        yield from (key for key in self.store.keys(self.namespace) if key.startswith(prefix or ""))

    async def ayield_keys(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, *, prefix: str | None = None
    ) -> AsyncIterator[str]:
        """Every key, or those that begin with `prefix`, in the order of their making."""
        for key in await self.store.akeys(self.namespace):
            if key.startswith(prefix or ""):
                yield key
