"""Streams: long ones and many of them, appending beside creating, many agents in one, the archive, and the adapters' calls.

No model of meaning runs beside them: what it does in the background would be counted in.
"""

import asyncio
import time
from collections.abc import Callable
from itertools import count

import psutil
from corpus import invented
from home import Home
from measure import Figure, Size, at_least, at_most, each, law, pooled, ratio, told, turns

from enhanced_memory.client import AsyncMemory, Memory
from enhanced_memory.client.adapters.chronicle import MemoryManager
from enhanced_memory.client.adapters.tinyworld import EnhancedMemoryManager, MemoryConfig, MemoryRepository
from enhanced_memory.client.values import EntityInput, MessageInput

__all__ = ["measure"]

SECTION = "Streams"
AGENTS = 50


def measure(size: Size) -> list[Figure]:
    """All figures of this chapter."""
    full = size == "full"
    return [
        *_long(10_000 if full else 2_000, 200 if full else 60),
        *_appending(10 if full else 5, 60 if full else 30),
        *_together(40 if full else 10),
        *_many(10_000 if full else 1_000),
        *_archive(10_000 if full else 2_000),
        *_systems(1_000 if full else 200),
        *_context(100_000 if full else 5_000),
    ]


def _lines(count: int, seed: int = 5) -> list[MessageInput]:
    texts = [text for one in invented(seed, count // 4 + 1) for text in one.observations][:count]
    texts += [f"line {number} of it" for number in range(count - len(texts))]
    return [MessageInput(text, tick=number, role="user") for number, text in enumerate(texts)]


def _fill(memory: Memory, stream: str, lines: list[MessageInput]) -> None:
    for first in range(0, len(lines), 1000):
        memory.append_messages(stream, lines[first : first + 1000])


class _Cost:
    """What calls cost: processor time of client and daemon together, which is how long one takes where nobody else is at work."""

    def __init__(self, daemon: psutil.Process) -> None:
        self._daemon = daemon

    def _spent(self) -> float:
        spent = self._daemon.cpu_times()
        return time.process_time() + spent.user + spent.system

    def _rested(self) -> None:
        """Wait until the daemon is idle: a dictionary that is trained, or a log that is folded, after filling is no part of a call."""
        for _ in range(80):
            before = sum(self._daemon.cpu_times()[:2])
            time.sleep(0.25)
            if sum(self._daemon.cpu_times()[:2]) - before < 0.015:
                return

    def of(self, call: Callable[[int], object], calls: int) -> float:
        """Seconds of a call, the least of three rounds of `calls`, begun when the daemon has nothing else to do any more."""
        self._rested()
        rounds: list[float] = []
        for _ in range(3):
            began = self._spent()
            for number in range(calls):
                call(number)
            rounds.append((self._spent() - began) / calls)
        return min(rounds)


def _long(length: int, calls: int) -> list[Figure]:
    """One long stream, read through a client."""
    with Home(embedder="none") as home:
        cost = _Cost(home.serve())
        with home.client() as memory:
            _fill(memory, "long", _lines(length))
            stream = memory.list_sessions(["long"]).sessions[0].id
            recent = cost.of(lambda _: memory.recent_messages(stream, 10), calls)
            ping = cost.of(lambda _: memory.ping(), calls)
            ranged = cost.of(lambda at: memory.messages_by(stream, tick_from=at * 7, tick_to=at * 7 + 20), calls)
            window = cost.of(lambda _: memory.get_window(stream, 20, 1000), calls)
            memory.set_retention(stream, 1000)
            kept = cost.of(lambda _: memory.recent_messages(stream, 10), calls)
    return [
        at_most(SECTION, f"newest 10 of {length:,}, processor", recent * 1e3, 1, " ms", f"own ping: {told(ping)}"),
        at_most(
            SECTION, f"a range of 21 ticks of {length:,}, processor", ranged * 1e3, 2, " ms", f"own ping: {told(ping)}"
        ),
        Figure(
            SECTION,
            f"window of {length:,}: 20 messages, 1,000 tokens, processor",
            told(window),
            "with the count of all",
        ),
        Figure(SECTION, "newest 10, of a thousand kept, processor", told(kept), "the rest archived"),
    ]


def _appending(rounds: int, calls: int) -> list[Figure]:
    """One message after another, each on disk before the next, beside creating entities of the same text."""
    given, lines = invented(31, rounds * calls + 1200), _lines(rounds * calls, 32)
    with Home(embedder="none") as home:
        cost = _Cost(home.serve())
        with home.client() as memory:
            for first in range(0, 1200, 400):
                memory.create_entities(
                    [EntityInput(one.name, one.type, one.observations) for one in given[first : first + 400]]
                )
            home.trained()
            memory.append_messages("talk", [MessageInput("begun")])
            stream = memory.list_sessions(["talk"]).sessions[0].id

            def append(number: int) -> list[float]:
                share = lines[number * calls :][:calls]
                return each(lambda at: memory.append_messages(stream, [share[at]]), calls)

            def create(number: int) -> list[float]:
                share = given[1200 + number * calls :][:calls]
                return each(
                    lambda at: memory.create_entities(
                        [EntityInput(share[at].name, share[at].type, share[at].observations[:1])]
                    ),
                    calls,
                )

            times = turns({"append": append, "create": create}, rounds)
            appending = cost.of(lambda at: memory.append_messages(stream, [lines[at]]), 100)
            names = count(1)
            creating = cost.of(
                lambda at: memory.create_entities(
                    [EntityInput(f"{given[at].name} {next(names)}", given[at].type, given[at].observations[:1])]
                ),
                100,
            )
    return [
        Figure(
            SECTION,
            "durable append against a durable create, processor",
            f"{appending / creating:.2f} ×",
            f"{told(appending)} / {told(creating)}; the disk's part is the same",
        ),
        at_most(
            SECTION,
            "durable append against a durable create, p50",
            ratio(times, "append", "create"),
            1.3,
            " ×",
            f"{told(pooled(times, 'append', 0.5))} / {told(pooled(times, 'create', 0.5))}",
        ),
    ]


def _together(each_says: int) -> list[Figure]:
    """Fifty agents append to one stream at once; then readers page through it."""

    async def work(home: Home) -> tuple[list[list[int]], list[list[tuple[int, str]]]]:
        agents = [AsyncMemory(home.settings) for _ in range(AGENTS)]

        async def say(number: int) -> list[int]:
            return [
                (
                    await agents[number].append_messages("hall", [MessageInput(f"{number}/{at}", speaker=str(number))])
                ).ids[0]
                for at in range(each_says)
            ]

        async def read(number: int) -> list[tuple[int, str]]:
            found: list[tuple[int, str]] = []
            cursor: str | None = None
            while True:
                page = await agents[number].messages_by("hall", limit=97 + number, cursor=cursor)
                found += [(one.id, one.content) for one in page.messages]
                cursor = page.cursor
                if cursor is None:
                    return found

        ids = await asyncio.gather(*(say(number) for number in range(AGENTS)))
        orders = await asyncio.gather(*(read(number) for number in range(3)))
        for one in agents:
            await one.close()
        return list(ids), list(orders)

    with Home(embedder="none") as home:
        home.serve()
        ids, orders = asyncio.run(work(home))
    said = {f"{number}/{at}": ids[number][at] for number in range(AGENTS) for at in range(each_says)}
    there = orders[0]
    once = sum(said.get(content) == number for number, content in there) if len(there) == len(said) else 0
    in_turn = sum(own == sorted(own) for own in ids)
    return [
        law(SECTION, f"messages of {AGENTS} agents at once that are there, once", once, len(said)),
        law(SECTION, "readers that agree on the order", sum(one == there for one in orders), len(orders)),
        law(SECTION, "agents whose own messages stand in their own order", in_turn, AGENTS),
    ]


def _many(streams: int) -> list[Figure]:
    """Many streams of a few messages each."""
    with Home(embedder="none") as home:
        cost = _Cost(home.serve())
        with home.client() as memory:
            for first in range(0, streams, 200):
                asks = [f"session {number}" for number in range(first, min(streams, first + 200))]
                for name in asks[:1]:
                    memory.append_messages(name, [MessageInput("hello"), MessageInput("and bye", role="assistant")])
                memory.create_entities(
                    [EntityInput(name, "session", properties={"title": f"About {name}"}) for name in asks[1:]]
                )
                for name in asks[1::20]:
                    memory.append_messages(name, [MessageInput("hello again")])
            listing = cost.of(lambda _: memory.list_sessions(), 25)
            recent = cost.of(lambda at: memory.recent_messages(f"session {at * 200 % streams}"), 200)
    return [
        Figure(
            SECTION,
            f"listing the 50 sessions of {streams:,} that were active last, processor",
            told(listing),
            "with their counts",
        ),
        at_most(SECTION, f"newest messages of one of {streams:,} streams, by name, processor", recent * 1e3, 1, " ms"),
    ]


def _archive(length: int) -> list[Figure]:
    """What keeping a thousand messages does to the rest."""
    with Home(embedder="none") as home:
        cost = _Cost(home.serve())
        with home.client() as memory:
            _fill(memory, "long", _lines(length, 41))
            while memory.set_retention("long", 1000).archived and memory.archive_messages("long").messages:
                pass
            before, after = home.rows("SELECT sum(bytes), sum(length(body)) FROM blocks")[0]
            archived = home.rows("SELECT count(*) FROM messages WHERE block > 0")[0][0]
            found = memory.messages_by("long", limit=1000, archived=True).messages[:1]
            assert found
            read = cost.of(lambda at: memory.recent_messages("long", 10, before=at * 13 + 12, archived=True), 50)
    return [
        law(SECTION, f"messages of {length:,} in the archive, a thousand kept at hand", archived, length - 1000),
        at_least(
            SECTION, "room that archived bodies took, against their blocks", before / after, 2, " ×",
            f"{before:,} bytes, each packed with the dictionary, in {after:,}",
        ),
        Figure(SECTION, "ten archived messages, processor", told(read), "one block is opened"),
    ]  # fmt: skip


def _systems(length: int) -> list[Figure]:
    """The adapters' calls against a tenth of what their systems allow."""
    with Home(embedder="none") as home:
        cost = _Cost(home.serve())
        with home.client() as memory:
            manager = MemoryManager(memory=memory)
            for number in range(20):
                _, talk = manager.start_new_conversation(f"Chapter {number}")
                assert talk.conversation_id is not None
                memory.append_messages(talk.conversation_id, _lines(length, 50 + number)[:1000])
            lasting = manager.persistent_memory
            for number in range(50):
                lasting.save_character_state({"name": f"Character {number}", "background": "born at sea"})
                lasting.save_prop_item({"name": f"prop {number}", "category": "tool"})
            queries: dict[str, Callable[[int], object]] = {
                "get_conversations": lambda _: lasting.get_conversations(),
                "get_character_states": lambda _: lasting.get_character_states(),
                "get_prop_items": lambda _: lasting.get_prop_items(),
            }
            slow = {name: cost.of(call, 25) for name, call in queries.items()}
            worst = max(slow, key=lambda name: slow[name])
            lasting.search_conversations("chapter")  # a word that was asked for is kept in memory
            search = cost.of(lambda at: lasting.search_conversations(f"chapter {at}"), 15)
            repository = MemoryRepository(memory, MemoryConfig())
            for tick in range(length):
                if tick % 10 == 0:
                    repository.save_message("ada", "Ada", f"At tick {tick} the lamp was lit.", tick)
            ticks = count(length)
            save = cost.of(lambda _: repository.save_message("ada", "Ada", "a line", next(ticks)), 30)
            world = EnhancedMemoryManager("ada", memory)
            context = cost.of(lambda at: world.get_context_for_prompt(f"the lamp at tick {at}"), 25)
    beside = f"20 conversations of {length:,} messages; the slowest of {len(slow)}: {worst}"
    return [
        at_most(
            SECTION, "Chronicle Weaver's queries, processor (it allows 100 ms)", slow[worst] * 1e3, 10, " ms", beside
        ),
        at_most(
            SECTION,
            "Chronicle Weaver's search, processor (it allows 200 ms)",
            search * 1e3,
            20,
            " ms",
            "all archived too",
        ),
        at_most(
            SECTION,
            "TinyWorld's save_message, processor (it allows 100 ms)",
            save * 1e3,
            10,
            " ms",
            "retention of 1,000 included",
        ),
        at_most(
            SECTION,
            "TinyWorld's context for a prompt, processor (it allows 200 ms)",
            context * 1e3,
            20,
            " ms",
            "recent, relevant and state",
        ),
    ]


def _context(passages: int) -> list[Figure]:
    """What a prompt needs out of a large store: pinned, relevant, recent and state, within a budget of tokens."""
    known = invented(71, passages // 4)
    with Home(embedder="none") as home:
        cost = _Cost(home.serve())
        with home.client() as memory:
            for first in range(0, len(known), 500):
                memory.create_entities(
                    [
                        EntityInput(
                            f"{one.name} {first + at}", one.type, one.observations[:4], always_include=first + at < 3
                        )
                        for at, one in enumerate(known[first : first + 500])
                    ]
                )
            _fill(memory, "talk", _lines(200, 72))
            stream = memory.list_sessions(["talk"]).sessions[0].id
            asked = [" ".join(one.observations[0].split()[1:6]) for one in known[:: max(1, len(known) // 40)]][:40]
            for query in asked:  # words that were asked for are kept in memory
                memory.get_context(query, stream=stream)
            memory.search_nodes(asked[0])
            taken = cost.of(lambda at: memory.get_context(asked[at % len(asked)], stream=stream), 40)
            found = cost.of(lambda at: memory.search_nodes(asked[at % len(asked)]), 40)
            there = home.rows("SELECT count(*) FROM passages")[0][0]
    return [
        at_most(
            SECTION,
            f"get_context of {there:,} passages, processor",
            taken * 1e3,
            20,
            " ms",
            f"pinned, relevant, the newest of a session; the search alone {told(found)}",
        )
    ]
