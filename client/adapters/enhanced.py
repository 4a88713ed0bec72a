"""The guide's memory: its client, service and functions, with its dictionaries, on the daemon.

Every call of `MemoryClient` answers with a dictionary that says `success`; what goes wrong is in `error`, with what helps.
Storing an entity again puts the new observations in the place of the old ones, which stay in its history; properties, tags and
whatever else other programs said of it are left alone.
"""

import asyncio
import os
import re
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec

import msgspec

from enhanced_memory.client.adapters.blobs import compress_data, decompress_data
from enhanced_memory.client.aio import AsyncMemory
from enhanced_memory.client.errors import Broken, Conflict, Error, Invalid
from enhanced_memory.client.operations.entities import CreateEntities, OpenNodes
from enhanced_memory.client.operations.facts import AutoExtractFacts, Extracted
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import PREFIX, Settings
from enhanced_memory.client.sync import Memory
from enhanced_memory.client.values import Entity, EntityInput, ObservationInput, OriginInput, Tier

__all__ = [
    "DB_PATH",
    "SOCKET_PATH",
    "ConnectionPool",
    "MemoryClient",
    "MemoryDBService",
    "autonomous_curation",
    "compress_data",
    "create_entities_batch",
    "create_entity",
    "decompress_data",
    "get_entity_cached",
    "get_system_health",
    "promote_to_tier",
    "search_entities",
]

P = ParamSpec("P")
Answer = dict[str, Any]

DB_PATH, SOCKET_PATH = os.path.expanduser("~/.memories/memory.db"), "/tmp/memory-db.sock"
"""The guide's defaults. Anybody could take the socket's name, so it stands for the one that the settings name, which nobody else can."""

TRIES = 10
RUN_S = 150.0
SURE = 0.6
"""From which confidence on a fact counts that the daemon's extraction finds."""

CUES = frozenset(
    ("prefer", "prefers", "like", "likes", "use", "uses", "need", "needs", "want", "wants", "always", "never")
)
_WORD = re.compile(r"[^\W\d_]+")


def _settings(socket_path: str | None) -> Settings:
    return Settings.load({"socket": socket_path} if socket_path and socket_path != SOCKET_PATH else {})


def _answering(
    call: Callable[Concatenate["MemoryClient", P], Awaitable[Answer]],
) -> Callable[Concatenate["MemoryClient", P], Awaitable[Answer]]:
    """Errors as the guide's callers expect them: told, not raised."""

    @wraps(call)
    async def answering(self: "MemoryClient", *args: P.args, **kwargs: P.kwargs) -> Answer:
        try:
            return {"success": True} | await call(self, *args, **kwargs)
        except Error as problem:
            return {"success": False, "error": str(problem)}
        except (KeyError, TypeError) as problem:
            return {
                "success": False,
                "error": f"The request is not as it should be: {type(problem).__name__}: {problem}",
            }

    return answering


class MemoryClient:
    """The guide's client. Safe to share between tasks, and between event loops one after the other."""

    def __init__(self, socket_path: str = SOCKET_PATH, *, memory: AsyncMemory | None = None) -> None:
        self.socket_path = socket_path
        self._memory = memory or AsyncMemory(_settings(socket_path), client="guide")

    async def _send_request(self, method: str, params: Mapping[str, Any] | None = None) -> Answer:
        """As `request`, which the guide's client called so."""
        return await self.request(method, params)

    async def request(self, method: str, params: Mapping[str, Any] | None = None) -> Answer:
        """A call by its name, as the guide's service took it."""
        call = _METHODS.get(method)
        if call is None:
            return {"success": False, "error": f"Unknown method: {method}"}
        try:
            return await getattr(self, method)(**(params or {}))
        except TypeError as problem:
            return {"success": False, "error": f"{method} was asked wrongly: {problem}"}

    async def close(self) -> None:
        """End the connection. A later call opens a new one."""
        await self._memory.close()

    @_answering
    async def create_entities(self, entities: Sequence[Mapping[str, Any]]) -> Answer:
        """Store entities, each `{name, entityType, observations}`: `results` with `name`, `action` (created or updated) and `id`."""
        given = [(one["name"], one["entityType"], list(one.get("observations", []))) for one in entities]
        results: list[Answer] = []
        # Of two with one name the second meets the first: they cannot go in one call, which says what is expected to be there.
        while given:
            wave = {name: (kind, texts) for name, kind, texts in reversed(given)}
            outcomes = await self._store([(name, *wave[name]) for name in dict.fromkeys(name for name, *_ in given)])
            results += outcomes
            seen: set[str] = set()
            later: list[tuple[str, str, list[str]]] = []
            for one in given:
                if one[0] in seen:
                    later.append(one)
                seen.add(one[0])
            given = later
        return {"results": results}

    async def _store(self, given: list[tuple[str, str, list[str]]]) -> list[Answer]:
        for attempt in range(TRIES):
            opened = await self._ask(OpenNodes([name for name, *_ in given], relations=False))
            known = {one.name: one for one in opened.entities if not one.scope}
            wanted = [_input(name, kind, texts, known.get(name)) for name, kind, texts in given]
            try:
                told = await self._ask(CreateEntities(wanted, on_existing="replace"))
            except Conflict:  # somebody changed one in between
                if attempt == TRIES - 1:
                    raise
                continue
            return [
                {"name": one.name, "action": "created" if one.action == "created" else "updated", "id": one.id}
                for one in told.results
            ]
        raise AssertionError

    @_answering
    async def search_nodes(self, query: str, limit: int = 10) -> Answer:
        """Find entities: `results` with `id`, `name`, `type` and `observations`, best first, and their `count`."""
        found = await self._memory.search_nodes(query, limit)
        results = [_told(hit.entity) for hit in found.hits]
        return {"results": results, "count": len(results)}

    @_answering
    async def get_memory_status(self) -> Answer:
        """`total_entities`."""
        return {"total_entities": (await self._memory.get_memory_status()).total_entities}

    @_answering
    async def auto_extract_facts(
        self, conversation_text: str, session_id: str | None = None, auto_store: bool = True
    ) -> Answer:
        """The lines that say a preference, habit or need, and those in which the daemon's own extraction finds a fact (a decision,
        a plan), as one fact: `facts`, their `count`, whether they were `stored`, and then `entity_ids`. Questions and quoted lines
        say none; a second call of one session adds to the first. Where the text holds secrets, only sentences are kept in which
        the daemon has masked them.
        """
        found = await self._ask(AutoExtractFacts(conversation_text, session_id, auto_store=False))
        told = _lines_of(conversation_text, found)
        if not told:
            return {"facts": [], "count": 0, "stored": False}
        session = session_id or "session"
        fact: Answer = {
            "name": f"auto-extracted-{session}", "entityType": "auto_extracted", "observations": told,
            "source_session": session, "extraction_method": "auto",
        }  # fmt: skip
        answer: Answer = {"facts": [fact], "count": 1, "stored": auto_store}
        if auto_store:
            origin = OriginInput(session=session, method="auto")
            entity = EntityInput(
                fact["name"], fact["entityType"], [ObservationInput(line, origin=origin) for line in told],
                {"source_session": session, "extraction_method": "auto"},
            )  # fmt: skip
            answer["entity_ids"] = [one.id for one in (await self._ask(CreateEntities([entity]))).results]
        return answer

    @_answering
    async def detect_conflicts(self, entity_data: Mapping[str, Any], threshold: float = 0.85) -> Answer:
        """What is stored already that the data duplicates, updates or contradicts: `conflicts` and `conflict_count`. Nothing is written."""
        given = EntityInput(
            entity_data["name"], entity_data.get("entityType") or entity_data["type"],
            list(entity_data.get("observations", [])),
        )  # fmt: skip
        found = (await self._memory.detect_conflicts([given], threshold=threshold)).conflicts
        conflicts = [
            {
                "existing_entity": one.existing_entity, "existing_id": one.existing_id, "conflict_type": one.conflict_type,
                "confidence": one.confidence, "suggested_action": one.suggested_action,
            }
            for one in found
        ]  # fmt: skip
        return {"conflicts": conflicts, "conflict_count": len(conflicts)}

    async def execute_code_safely(self, code: str, context: Mapping[str, Any] | None = None) -> Answer:
        """Run Python over the memory, in the sandbox: what it assigns to `result`, or why it did not come to its end."""
        return await asyncio.to_thread(_run, self._memory.settings, code, dict(context or {}))

    @_answering
    async def get_system_health(self) -> Answer:
        """Size, memory of the daemon, and whether it can read and write."""
        status = await self._memory.get_memory_status()
        return _health(status.total_entities, status.file_bytes, status.memory_mb, status.state)

    async def _ask(self, ask: Request[Any]) -> Any:
        return await self._memory.send(ask)


_METHODS = {
    name: getattr(MemoryClient, name)
    for name in (
        "create_entities", "search_nodes", "get_memory_status", "auto_extract_facts", "detect_conflicts",
        "execute_code_safely", "get_system_health",
    )
}  # fmt: skip


def _input(name: str, kind: str, texts: list[str], known: Entity | None) -> EntityInput:
    """What is to stand from now on: the observations given, and all else as it is."""
    if known is None:
        return EntityInput(name, kind, list(texts), expected_version=0)
    return EntityInput(
        name, kind, list(texts), known.properties, known.tags, tier=known.tier, priority=known.priority,
        importance=known.importance, confidence=known.confidence, always_include=known.always_include or None,
        expires_at=known.expires_at, expected_version=known.version,
    )  # fmt: skip


def _told(one: Entity) -> Answer:
    return {"id": one.id, "name": one.name, "type": one.type, "observations": one.observations}


def _speaks(line: str) -> bool:
    """Whether a line is neither a question nor quoted."""
    return bool(line) and not line.endswith("?") and line[0] not in ">\"'“„«"


def _says_a_fact(line: str) -> bool:
    """Whether a line says that somebody prefers, uses, needs … something: whole words, no question, no quotation."""
    return _speaks(line) and any(word.lower() in CUES for word in _WORD.findall(line))


def _lines_of(text: str, found: Extracted) -> list[str]:
    """The lines that say a fact, each once, in their order."""
    sure = [fact.source for fact in found.facts if fact.source and fact.confidence >= SURE]
    if found.masked:
        return list(dict.fromkeys(sure))
    lines = [line.strip() for line in text.splitlines()]
    return list(
        dict.fromkeys(
            line for line in lines if _says_a_fact(line) or (_speaks(line) and any(source in line for source in sure))
        )
    )


def _health(entities: int, file_bytes: int, memory_mb: float, state: str) -> Answer:
    return {
        "total_entities": entities, "database_size_mb": round(file_bytes / 2**20, 2),
        "memory_usage_mb": round(memory_mb, 2), "status": "healthy" if state in ("ready", "checking") else "warning",
    }  # fmt: skip


def _run(settings: Settings, code: str, context: dict[str, Any]) -> Answer:
    words = [sys.executable, "-P", "-m", "enhanced_memory.mcp_server", "run", "--json"]
    words += [f"--context={msgspec.json.encode(context).decode()}", f"--space={settings.space}", "--", "-"]
    try:
        ran = subprocess.run(
            words, input=code.encode(), capture_output=True, env=settings.environment(os.environ), timeout=RUN_S,
            check=False,
        )  # fmt: skip
        told: Any = msgspec.json.decode(ran.stdout)
    except (subprocess.TimeoutExpired, msgspec.DecodeError) as problem:
        return {"success": False, "error": f"The code could not be run: {problem}"}
    if not told.get("ok"):
        error: Any = told.get("error") or {}
        return {"success": False, "error": f"{error.get('type', 'Error')}: {error.get('message', '')}"}
    return {"success": True, "result": told.get("result")}


# The guide's functions, which wait


_client: Memory | None = None
_turn = threading.Lock()


def _memory() -> Memory:
    """The client that the functions share."""
    global _client
    with _turn:
        if _client is None:
            _client = Memory(client="guide")
        return _client


def create_entity(name: str, entity_type: str, observations: Sequence[str]) -> int:
    """Store a new entity; its id. `Conflict` where the name is taken."""
    made = _memory().create_entities([EntityInput(name, entity_type, list(observations))], on_existing="error")
    return made.results[0].id


def search_entities(query: str, limit: int = 10) -> list[Answer]:
    """Find entities: `id`, `name`, `type` and `observations` of each, best first."""
    return [_told(hit.entity) for hit in _memory().search_nodes(query, limit).hits]


def get_entity_cached(name: str) -> Answer | None:
    """The entity of that very name, as it is now; None where there is none. A point read costs no more than a cache that knows
    when it is stale.
    """
    found = _memory().send(OpenNodes([name], relations=False)).entities
    return _told(found[0]) if found else None


async def create_entities_batch(entities: Sequence[Mapping[str, Any]], batch_size: int = 100) -> Answer:
    """Store many entities, so many in a call: the results of all, in order. What an earlier call stored stays if a later one fails."""
    if batch_size < 1:
        raise Invalid(f"batch_size is {batch_size}.", "it must be 1 at least")
    client = MemoryClient()
    results: list[Answer] = []
    try:
        for first in range(0, len(entities), batch_size):
            told = await client.create_entities(entities[first : first + batch_size])
            if not told["success"]:
                return told | {"results": results}
            results += told["results"]
    finally:
        await client.close()
    return {"success": True, "results": results}


def promote_to_tier(entity_id: int, new_tier: str) -> None:
    """Put an entity into a tier. `Invalid` for a tier that there is not, `NotFound` for an entity that there is not."""
    tiers: tuple[Tier, ...] = ("working", "episodic", "semantic", "procedural")
    if new_tier not in tiers:
        raise Invalid(f"There is no tier {new_tier!r}.", f"it may be {', '.join(tiers)}")
    _memory().promote_to_tier(entity_id, new_tier)


def autonomous_curation() -> Answer:
    """The guide's one rule, carried out at once: what is older than thirty days, was read less than three times, and has rested for
    a week goes from working to episodic. `undo` takes it back.
    """
    memory = _memory()
    run = memory.autonomous_curation(dry_run=False, rules=["to_episodic"], cap=1.0, wait_s=20.0)
    while run.state == "running":
        run = memory.autonomous_curation(start=False, wait_s=20.0)
    if run.problem:
        raise Broken(run.problem)
    return {"promoted_to_episodic": run.counts.get("to_episodic", 0)}


def get_system_health() -> Answer:
    """Size, memory of the daemon, and whether it can read and write."""
    status = _memory().get_memory_status()
    return _health(status.total_entities, status.file_bytes, status.memory_mb, status.state)


class ConnectionPool:
    """Connections to the daemon, each for one user at a time. They may be used in any thread."""

    def __init__(self, db_path: str | None = None, max_connections: int = 10) -> None:
        self._settings = Settings.load({"store": str(Path(db_path).expanduser())} if db_path else {})
        self._free: list[Memory] = []
        self._room = threading.BoundedSemaphore(max_connections)
        self._turn = threading.Lock()

    def get_connection(self) -> Memory:
        """A connection; waits while all are in use."""
        self._room.acquire()
        with self._turn:
            return self._free.pop() if self._free else Memory(self._settings, client="guide")

    def return_connection(self, conn: Memory) -> None:
        """Give a connection back."""
        with self._turn:
            self._free.append(conn)
        self._room.release()


class MemoryDBService:
    """The guide's service: requests as dictionaries; or the daemon itself."""

    def __init__(self, db_path: str | None = None, socket_path: str = SOCKET_PATH) -> None:
        given = {"store": str(Path(db_path).expanduser())} if db_path else {}
        given |= {"socket": socket_path} if socket_path != SOCKET_PATH else {}
        self.settings = Settings.load(given)
        self._client = MemoryClient(memory=AsyncMemory(self.settings, client="guide"))

    def handle_request(self, request: Mapping[str, Any]) -> Answer:
        """The answer to `{method, params}`. What is wrong is told in it."""

        async def answer() -> Answer:
            try:
                return await self._client.request(str(request.get("method")), request.get("params"))
            finally:
                await self._client.close()

        return asyncio.run(answer())

    def run(self) -> int:
        """Be the daemon until it is told to end; its exit code."""
        environment = self.settings.environment(os.environ)
        environment[PREFIX + "IDLE_EXIT_S"] = "0"
        return subprocess.run(
            [sys.executable, "-P", "-m", "enhanced_memory.daemon"], env=environment, check=False
        ).returncode
