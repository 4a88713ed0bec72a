"""TinyWorld's memory: `MemoryRepository`, `EnhancedMemoryManager`, the vector store's calls and the settings, on the daemon.

A character is an entity of that kind (scope `tinyworld`, called by its `character_id`); its messages are its stream, its state
its properties. A message is found by its words and its meaning because it is there: both are indexed with it and end with it, so
that message and vector cannot get out of step. What a character no longer keeps is archived, not deleted.
"""

import logging
import os
import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from enhanced_memory.client.adapters.documents import mapping, needed
from enhanced_memory.client.errors import Error, Invalid, NotFound
from enhanced_memory.client.operations.entities import CreateEntities, OpenNodes, UpdateEntity
from enhanced_memory.client.operations.streams import AppendMessages, SetRetention
from enhanced_memory.client.sync import Memory
from enhanced_memory.client.values import Entity, EntityInput, Message, MessageInput

__all__ = [
    "ConsciousWorkflow",
    "DatabaseConfig",
    "EnhancedMemoryManager",
    "MemoryConfig",
    "MemoryRepository",
    "TinyWorldVectorStore",
    "db_config",
    "get_db",
    "memory_config",
]

log = logging.getLogger(__name__)

SCOPE = "tinyworld"
PAGE = 1000
STATE = ("personality", "beliefs", "goals")
RECENT = 10
RELEVANT = 5
COSINE = 10.0
"""What a cosine of 1 weighs against words, whose BM25 is about that for a good match."""


# Settings


def _number(environment: Mapping[str, str], default: int, *names: str) -> int:
    """The first of several spellings that is set. `Invalid` for what is no whole number."""
    for name in names:
        text = environment.get(name)
        if text:
            try:
                return int(text)
            except ValueError:
                raise Invalid(f"{name} is {text[:40]!r}, which is no whole number.", "mend or unset it") from None
    return default


@dataclass(frozen=True)
class DatabaseConfig:
    """Where the original kept messages. The daemon's own settings say where it keeps them; this is read for those who ask."""

    host: str = "localhost"
    port: int = 5432
    database: str = "tinyworld"
    user: str = "tinyworld_user"
    password: str = ""
    echo: bool = False
    pool_size: int = 5
    max_overflow: int = 10

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> "DatabaseConfig":
        """As `DB_HOST`, `DB_PORT` … say."""
        given = os.environ if environment is None else environment
        return cls(
            given.get("DB_HOST") or cls.host,
            _number(given, cls.port, "DB_PORT"),
            given.get("DB_NAME") or cls.database,
            given.get("DB_USER") or cls.user,
            given.get("DB_PASSWORD", ""),
            given.get("DB_ECHO", "").strip().lower() == "true",
            _number(given, cls.pool_size, "DB_POOL_SIZE"),
            _number(given, cls.max_overflow, "DB_MAX_OVERFLOW"),
        )

    @property
    def database_url(self) -> str:
        """The URL, with user and password as a URL needs them."""
        password = f":{quote(self.password, safe='')}" if self.password else ""
        return f"postgresql://{quote(self.user, safe='')}{password}@{self.host}:{self.port}/{self.database}"


@dataclass(frozen=True)
class MemoryConfig:
    """How much is recalled and kept."""

    max_recent_messages: int = 10
    max_stored_messages_per_character: int = 1000
    cleanup_interval_hours: int = 24
    vector_store_collection: str = "tinyworld-memories"

    @classmethod
    def from_env(cls, environment: Mapping[str, str] | None = None) -> "MemoryConfig":
        """As the environment says, under every spelling that is in use."""
        given = os.environ if environment is None else environment
        return cls(
            _number(given, cls.max_recent_messages, "MAX_RECENT_MESSAGES"),
            _number(
                given, cls.max_stored_messages_per_character, "MAX_STORED_MESSAGES", "MAX_STORED_MESSAGES_PER_CHARACTER"
            ),
            _number(given, cls.cleanup_interval_hours, "CLEANUP_INTERVAL_HOURS"),
            given.get("VECTOR_STORE_COLLECTION") or cls.vector_store_collection,
        )


db_config = DatabaseConfig.from_env()
memory_config = MemoryConfig.from_env()

_client: Memory | None = None
_turn = threading.Lock()


def _memory(given: Memory | None) -> Memory:
    """The client given, or the one that everybody here shares."""
    global _client
    if given is not None:
        return given
    with _turn:
        if _client is None:
            _client = Memory(client="tinyworld")
        return _client


@contextmanager
def get_db() -> Generator[Memory]:
    """The client. Every call on it is a transaction of its own."""
    yield _memory(None)


# Messages and states


class MemoryRepository:
    """A character's messages and its state."""

    def __init__(self, memory: Memory | None = None, config: MemoryConfig | None = None) -> None:
        self._memory = _memory(memory)
        self._config = config or memory_config
        self._ready: dict[str, int] = {}

    def save_message(
        self,
        character_id: str,
        character_name: str,
        content: str,
        tick_count: int,
        message_type: str | None = "reflection",
        importance: float | None = 5.0,
        metadata: Mapping[str, Any] | None = None,
    ) -> int:
        """Append a message to a character's stream; its id. What the character no longer keeps is archived with it.

        `Invalid` for a tick that is missing or goes back, an importance outside 0 to 10 and metadata that is not plain data: then nothing
        was saved.
        """
        line = MessageInput(
            content, "assistant", message_type or "", character_name, None, needed(tick_count, "tick_count", "1"), importance,
            metadata=mapping(metadata or {}, "metadata"),
        )  # fmt: skip
        stream = self._stream(character_id, character_name)
        try:
            return self._memory.send(AppendMessages(stream, [line])).ids[0]
        except NotFound:  # deleted since it was used last: it is begun anew
            self._ready.pop(character_id, None)
            return self._memory.send(AppendMessages(self._stream(character_id, character_name), [line])).ids[0]

    def _stream(self, character_id: str, character_name: str) -> int:
        """The character's id, made if need be, which keeps as many messages as the settings say."""
        known = self._ready.get(character_id)
        if known is None:
            keep = self._config.max_stored_messages_per_character
            found = self._character(character_id)
            if found is None:
                made = EntityInput(
                    character_id, "character", properties={"character_name": character_name, "keep_messages": keep},
                    scope=SCOPE,
                )  # fmt: skip
                known = self._memory.send(CreateEntities([made])).results[0].id
            else:
                known = found.id
                if found.properties.get("keep_messages") != keep:
                    self._memory.send(SetRetention(known, keep))
            self._ready[character_id] = known
        return known

    def _cleanup_old_messages(self, db: Any, character_id: str) -> None:
        """Have the daemon archive what the character no longer keeps. It does so by itself as messages are saved; `db` is what
        `get_db` lends."""
        known = self._known(character_id)
        if known is not None:
            self._memory.send(SetRetention(known, self._config.max_stored_messages_per_character))

    def _character(self, character_id: str) -> Entity | None:
        found = self._memory.send(OpenNodes([character_id], scope=SCOPE, relations=False)).entities
        return found[0] if found else None

    def _known(self, character_id: str) -> int | None:
        known = self._ready.get(character_id)
        if known is None:
            found = self._character(character_id)
            known = None if found is None else found.id
        return known

    def get_recent_messages(self, character_id: str, limit: int | None = None) -> list[dict[str, Any]]:
        """The newest messages, oldest of them first. None and 0: as many as the settings say."""
        stream = self._known(character_id)
        if stream is None:
            return []
        wanted = min(limit or self._config.max_recent_messages, PAGE)
        try:
            found = self._memory.recent_messages(stream, wanted).messages
        except NotFound:
            return []
        return [_told(one, character_id) for one in found]

    def get_messages_by_tick_range(self, character_id: str, start_tick: int, end_tick: int) -> list[dict[str, Any]]:
        """All messages from one tick to another, both included, by tick."""
        stream = self._known(character_id)
        found: list[Message] = []
        cursor: str | None = None
        while stream is not None:
            page = self._memory.messages_by(
                stream, tick_from=start_tick, tick_to=end_tick, order_by="tick", limit=PAGE, cursor=cursor
            )
            found += page.messages
            cursor = page.cursor
            if cursor is None:
                break
        return [_told(one, character_id) for one in found]

    def get_messages_by_type(self, character_id: str, message_type: str, limit: int = 10) -> list[dict[str, Any]]:
        """The newest messages of a type, newest first."""
        stream = self._known(character_id)
        if stream is None:
            return []
        found = self._memory.messages_by(stream, kinds=[message_type], newest_first=True, limit=min(limit, PAGE))
        return [_told(one, character_id) for one in found.messages]

    def update_character_state(
        self, character_id: str, character_name: str, tick_count: int, last_decision_time: float, **kwargs: Any
    ) -> None:
        """Make or change a character's state: personality, beliefs, goals. What else is given is passed over where there is a
        state already, and a TypeError where there is none.
        """
        known = self._character(character_id)
        if known is None or "current_tick" not in known.properties:
            strange = sorted(kwargs.keys() - set(STATE))
            if strange:
                raise TypeError(f"{strange[0]!r} is no part of a character's state; there are {', '.join(STATE)}")
        said = {"character_name": character_name, "current_tick": tick_count, "last_decision_time": last_decision_time}
        said |= {key: kwargs[key] for key in STATE if key in kwargs}
        self._memory.send(UpdateEntity(self._stream(character_id, character_name), properties=said))

    def get_character_state(self, character_id: str) -> dict[str, Any] | None:
        """A character's state; None where none was saved."""
        known = self._character(character_id)
        if known is None or "current_tick" not in known.properties:
            return None
        said = known.properties
        return {
            "character_id": character_id,
            "character_name": said.get("character_name", character_id),
            "current_tick": said["current_tick"],
            "last_decision_time": said.get("last_decision_time", 0.0),
        } | {key: said.get(key, {}) for key in STATE}


def _told(one: Message, character_id: str) -> dict[str, Any]:
    return {
        "id": one.id, "character_id": character_id, "character_name": one.speaker, "content": one.content,
        "tick_count": one.tick, "timestamp": one.at.isoformat(), "message_type": one.kind or None,
        "importance": one.importance, "metadata": one.metadata,
    }  # fmt: skip


# Long-term memory


class TinyWorldVectorStore:
    """What a character remembers by meaning and by words: its messages, and what was added beside them."""

    def __init__(self, memory: Memory | None = None, character_id: str | None = None) -> None:
        self._memory = _memory(memory)
        self._repository = MemoryRepository(self._memory)
        self.character_id = character_id

    def add_memory(
        self,
        character_id: str,
        content: str,
        collection_name: str | None = None,
        memory_type: str = "long-term",
        metadata: Mapping[str, Any] | None = None,
        importance: float | None = 5.0,
    ) -> int:
        """Remember something; its id. What names the message that it is of (`message_id`) is remembered as that message already."""
        said = dict(metadata or {})
        if isinstance(said.get("message_id"), int):
            return said["message_id"]
        owner = str(said.get("character") or character_id)
        line = MessageInput(content, "assistant", memory_type, owner, importance=importance, metadata=said)
        collection = collection_name or memory_config.vector_store_collection
        return self._memory.send(
            AppendMessages(f"{collection}: {owner}", [line], stream_type="character_memories")
        ).ids[0]  # fmt: skip

    def similarity_search(
        self, query: str, k: int = RELEVANT, character_id: str | None = None, collection_name: str | None = None
    ) -> list[dict[str, Any]]:
        """What a character remembers that answers a query best, best first: of the character named, or this store's.

        Nobody named, all characters' memories are sought.
        """
        whose = character_id or self.character_id
        if not query.strip():
            return []
        streams: list[int | None] = [None] if whose is None else list(self._streams(whose, collection_name))
        hits = [hit for one in streams for hit in self._memory.search_messages(query, k, stream=one, explain=True).hits]
        # A search's own scores are of that search alone; BM25 and cosine are the same measure in every stream.
        hits.sort(key=lambda hit: -(hit.explained.get("words", 0.0) + COSINE * hit.explained.get("meaning", 0.0)))
        return [
            {"content": hit.message.content, "id": hit.message.id, "score": hit.score, "metadata": hit.message.metadata}
            for hit in hits[:k]
        ]

    def _streams(self, character_id: str, collection_name: str | None) -> list[int]:
        collection = collection_name or memory_config.vector_store_collection
        own = self._memory.send(OpenNodes([character_id], scope=SCOPE, relations=False)).entities
        beside = self._memory.send(OpenNodes([f"{collection}: {character_id}"], relations=False)).entities
        return [one.id for one in (*own, *beside)]


class EnhancedMemoryManager:
    """What a character's prompt needs."""

    def __init__(self, character_id: str, memory: Memory | None = None) -> None:
        self.character_id = character_id
        self.memory_repo = MemoryRepository(memory)
        self.vector_store = TinyWorldVectorStore(memory, character_id)

    def get_context_for_prompt(self, current_situation: str | None = None) -> dict[str, Any]:
        """What was said last, what bears on the situation, and the character's state."""
        relevant = self.vector_store.similarity_search(current_situation, RELEVANT) if current_situation else []
        return {
            "recent_context": self.memory_repo.get_recent_messages(self.character_id, RECENT),
            "relevant_memories": [one["content"] for one in relevant],
            "character_state": self.memory_repo.get_character_state(self.character_id),
        }


class ConsciousWorkflow:
    """The step of a simulation that remembers."""

    def __init__(
        self,
        character_id: str = "socrates_001",
        config: Mapping[str, Any] | None = None,
        memory: Memory | None = None,
    ) -> None:
        self.character_id = character_id
        self.config: dict[str, Any] = dict(config or {})
        self.memory_repo = MemoryRepository(memory)
        self.vector_store = TinyWorldVectorStore(memory, character_id)

    async def save_memory(self, state: dict[str, Any]) -> dict[str, Any]:
        """Remember what the character said and how it stands; the state as it came, also where that fails (which is logged)."""
        try:
            self._save(state)
        except (Error, KeyError, TypeError):
            log.exception("the memory of %s was not saved", self.character_id)
        except Exception:  # a vector store may be anybody's: it never breaks the simulation
            log.exception("the memory of %s was not saved whole", self.character_id)
        return state

    def _save(self, state: Mapping[str, Any]) -> None:
        config = self.config
        number = self.memory_repo.save_message(
            state["character_id"], config.get("name", state["character_id"]), state["character_message"],
            state["tick_count"], "reflection", 5.0,
            {"personality": config.get("personality"), "mission": config.get("mission")},
        )  # fmt: skip
        self.vector_store.add_memory(
            character_id="characters", content=state["character_message"],
            collection_name="tinyworld-characters-memory", memory_type="long-term", importance=5.0,
            metadata={"message_id": number, "character": state["character_id"], "tick_count": state["tick_count"]},
        )  # fmt: skip
        self.memory_repo.update_character_state(
            state["character_id"], config.get("name", state["character_id"]), state["tick_count"], time.time(),
            personality=config.get("personality_data") or {}, beliefs=config.get("initial_beliefs_data") or {},
            goals=config.get("goals") or {},
        )  # fmt: skip

    def _get_recent_memories(self) -> list[str]:
        """What the character said last, oldest first; nothing where that cannot be read."""
        try:
            return [one["content"] for one in self.memory_repo.get_recent_messages(self.character_id, RECENT)]
        except Error:
            log.exception("the memories of %s could not be read", self.character_id)
            return []
