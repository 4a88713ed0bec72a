"""Chronicle Weaver's memory: its modules, classes, methods, defaults and answers, on the daemon.

A conversation is a session of type `conversation`, its id the session's number; characters, props, agent configurations and
preferences are entities of those kinds. What its users relied on is kept; what hurt them is not: a clean-up loses nothing, a
message moves its conversation forward, a deleted conversation takes its characters along, and what is returned are values.

While the daemon is away, whatever is written waits in a bounded queue on disk and goes in order once it is back (`Outbox`).
"""

from enhanced_memory.client.adapters.chronicle.conversation_memory import ConversationMemory, Message
from enhanced_memory.client.adapters.chronicle.database_manager import DatabaseManager
from enhanced_memory.client.adapters.chronicle.memory_manager import MemoryManager
from enhanced_memory.client.adapters.chronicle.persistent_memory import PersistentMemory
from enhanced_memory.client.adapters.chronicle.summarization import ConversationSummarizer
from enhanced_memory.client.adapters.windows import AIMessage, HumanMessage, SystemMessage

__all__ = [
    "AIMessage",
    "ConversationMemory",
    "ConversationSummarizer",
    "DatabaseManager",
    "HumanMessage",
    "MemoryManager",
    "Message",
    "PersistentMemory",
    "SystemMessage",
]
