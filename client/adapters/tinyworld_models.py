"""TinyWorld's tables under the names that its users import: `Base`, `engine`, `SessionLocal`, `get_db`, `Message`, `CharacterState`.

There are no tables to be mapped: a row is a plain value, and a session hands rows to the repository. What SQLAlchemy reserves
(`metadata` of a mapped class) is no trouble to a plain class. Queries go through `MemoryRepository`.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar

from enhanced_memory.client.adapters.tinyworld import SCOPE, MemoryRepository, get_db
from enhanced_memory.client.closing import Closing
from enhanced_memory.client.errors import Invalid
from enhanced_memory.client.operations.entities import DeleteEntities, ListEntities
from enhanced_memory.client.sync import Memory

__all__ = ["Base", "CharacterState", "Engine", "Message", "Session", "SessionLocal", "engine", "get_db", "session"]

PAGE = 1000


@dataclass
class Message:
    """A row of `messages`. `id` and `timestamp` are None until it was saved."""

    __tablename__: ClassVar[str] = "messages"

    character_id: str
    character_name: str
    content: str
    tick_count: int
    message_type: str | None = "reflection"
    importance: float | None = 5.0
    metadata: dict[str, Any] = field(default_factory=dict[str, Any])
    id: int | None = None
    timestamp: datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """As the original tells it, in its order."""
        return {
            "id": self.id, "character_id": self.character_id, "character_name": self.character_name,
            "content": self.content, "tick_count": self.tick_count,
            "timestamp": self.timestamp.isoformat() if self.timestamp else None, "message_type": self.message_type,
            "importance": self.importance, "metadata": self.metadata,
        }  # fmt: skip


@dataclass
class CharacterState:
    """A row of `character_states`, one for each character."""

    __tablename__: ClassVar[str] = "character_states"

    character_id: str
    character_name: str
    current_tick: int = 0
    last_decision_time: float = 0.0
    personality: dict[str, Any] = field(default_factory=dict[str, Any])
    beliefs: dict[str, Any] = field(default_factory=dict[str, Any])
    goals: dict[str, Any] = field(default_factory=dict[str, Any])

    def to_dict(self) -> dict[str, Any]:
        """As the original tells it, in its order."""
        return {
            "character_id": self.character_id, "character_name": self.character_name,
            "current_tick": self.current_tick, "last_decision_time": self.last_decision_time,
            "personality": self.personality, "beliefs": self.beliefs, "goals": self.goals,
        }  # fmt: skip


class Engine:
    """Where everything is kept: the memory that the settings name. Nothing is opened before it is needed."""

    def __init__(self, memory: Memory | None = None) -> None:
        self._memory = memory

    @property
    def memory(self) -> Memory:
        """The client."""
        if self._memory is None:
            with get_db() as memory:
                self._memory = memory
        return self._memory

    @property
    def url(self) -> str:
        """The store, as the settings name it."""
        return self.memory.settings.store_name

    def dispose(self) -> None:
        """End the connection; a later call opens a new one."""
        if self._memory is not None:
            self._memory.close()


class _Metadata:
    """What `create` and `drop` of the original's script call."""

    def create_all(self, bind: "Engine | None" = None) -> None:
        """Make sure that the store is there; it makes and migrates itself."""
        (bind or engine).memory.ping()

    def drop_all(self, bind: "Engine | None" = None) -> int:
        """Delete every character with its messages, softly; how many characters those were. `restore_entities` brings them back."""
        memory, gone = (bind or engine).memory, 0
        while found := [
            one.id for one in memory.send(ListEntities(types=["character"], scope=SCOPE, limit=PAGE)).entities
        ]:
            gone += len(memory.send(DeleteEntities(list(found))).ids)
        return gone


class Base:
    """What the original's classes were made of; it says where the tables are."""

    metadata: ClassVar[_Metadata] = _Metadata()


class Session(Closing):
    """Rows that are saved together at `commit`, messages in their order. Not a transaction: each row is one of its own."""

    def __init__(self, bind: Engine) -> None:
        self._bind = bind
        self._rows: list[Message | CharacterState] = []

    def add(self, row: Message | CharacterState) -> None:
        """Have a row saved at `commit`."""
        self._rows.append(row)

    def add_all(self, rows: list[Message | CharacterState]) -> None:
        """Have rows saved at `commit`."""
        self._rows += rows

    def commit(self) -> None:
        """Save what was added. A message has its id then; what was not reached when one fails, waits for the next `commit`."""
        repository = MemoryRepository(self._bind.memory)
        while self._rows:
            one = self._rows[0]
            if isinstance(one, Message):
                if one.id is not None:
                    raise Invalid(f"Message {one.id} is saved already; what was said is not changed.")
                one.id = repository.save_message(
                    one.character_id, one.character_name, one.content, one.tick_count, one.message_type,
                    one.importance, one.metadata,
                )  # fmt: skip
                one.timestamp = datetime.now(UTC)
            else:
                repository.update_character_state(
                    one.character_id, one.character_name, one.current_tick, one.last_decision_time,
                    personality=one.personality, beliefs=one.beliefs, goals=one.goals,
                )  # fmt: skip
            self._rows.pop(0)

    def rollback(self) -> None:
        """Forget what was added since the last `commit`."""
        self._rows.clear()

    def refresh(self, row: Message | CharacterState) -> None:
        """Read a saved row again."""
        repository = MemoryRepository(self._bind.memory)
        if isinstance(row, CharacterState):
            for key, value in (repository.get_character_state(row.character_id) or {}).items():
                setattr(row, key, value)
        else:
            for told in repository.get_messages_by_tick_range(row.character_id, row.tick_count, row.tick_count):
                if told["id"] == row.id:
                    row.timestamp = datetime.fromisoformat(told["timestamp"])

    def close(self) -> None:
        """Forget what was not committed."""
        self.rollback()


engine = Engine()


def SessionLocal() -> Session:
    """A session on the shared engine."""
    return Session(engine)


@contextmanager
def session() -> Generator[Session]:
    """A session that is committed where the block ends well, and rolled back where it does not."""
    made = SessionLocal()
    try:
        yield made
        made.commit()
    except BaseException:
        made.rollback()
        raise
    finally:
        made.close()
