"""`kill -9` under load: what was acknowledged is there, whole; what was not is there whole or not at all.

`EM_KILL_ROUNDS` says how often; 25 where it says nothing. `bench/kills.py` goes on for hundreds of rounds, and can be interrupted.
"""

import os
import random
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from enhanced_memory.client import Memory
from enhanced_memory.client.errors import Error, Unavailable
from enhanced_memory.client.operations.entities import CreateEntities, OpenNodes
from enhanced_memory.client.operations.streams import AppendMessages
from enhanced_memory.client.values import EntityInput, MessageInput, RelationInput

ROUNDS = int(os.environ.get("EM_KILL_ROUNDS", "25"))
WRITERS = 3
PARTS = 3


class Ledger:
    """What one writer sent, and what of it was acknowledged."""

    def __init__(self, who: int) -> None:
        self.who = who
        self.sent: set[str] = set()
        self.kept: dict[str, int] = {}
        self.said: dict[str, int] = {}
        self.failure: BaseException | None = None


def entity(name: str) -> EntityInput:
    """Several rows of every kind: observations, properties, tags."""
    return EntityInput(
        name,
        "mark",
        [f"{name} says {part} of it" for part in range(PARTS)],
        {"name": name, "parts": PARTS},
        [name.split("-")[0]],
    )


def write(memory: Memory, ledger: Ledger, turn: int) -> None:
    """Write in groups until the daemon is gone; note what was acknowledged."""
    number = 0
    try:
        while True:
            names = [f"w{ledger.who}-{turn}-{number + at}" for at in range(8)]
            asks: list[Any] = [CreateEntities([entity(name)]) for name in names]
            asks += [AppendMessages(f"stream {ledger.who}", [MessageInput(f"message {name}")]) for name in names]
            ledger.sent.update(names)
            answers = memory.send_all(asks, timeout_s=20)
            for name, made, appended in zip(names, answers[:8], answers[8:], strict=True):
                ledger.kept[name] = made.results[0].id
                ledger.said[name] = appended.ids[0]
            memory.create_relations([RelationInput(names[0], names[-1], "precedes")])
            number += 8
    except Unavailable:
        return
    except BaseException as problem:
        ledger.failure = problem
    finally:
        memory.close()


def test_nothing_acknowledged_is_lost_and_nothing_is_half_there(house: Any, record_property: Any) -> None:
    chance = random.Random(5)
    ledgers = [Ledger(who) for who in range(WRITERS)]
    slowest = 0.0
    for turn in range(ROUNDS):
        house.start()
        began = time.monotonic()
        with house.memory() as memory:
            memory.ping()
        slowest = max(slowest, time.monotonic() - began)
        writers = [
            threading.Thread(
                target=write, args=(house.memory(connect_timeout_s=0.05, retry_changes=bool(turn % 2)), ledger, turn)
            )
            for ledger in ledgers
        ]
        for one in writers:
            one.start()
        before = sum(len(ledger.kept) for ledger in ledgers)
        deadline = time.monotonic() + 20
        while sum(len(ledger.kept) for ledger in ledgers) == before:
            assert time.monotonic() < deadline, "nothing was written"
            time.sleep(0.001)
        time.sleep(chance.random() * 0.1)  # where in its work it is met is chance
        house.kill()
        for one in writers:
            one.join()
        for ledger in ledgers:
            assert ledger.failure is None
        acknowledged = {
            name: number for ledger in ledgers for name, number in ledger.kept.items() if f"-{turn}-" in name
        }
        assert acknowledged
    record_property("first_ping_s", round(slowest, 3))
    assert slowest < 10

    house.start()
    with house.memory() as memory:
        assert memory.verify().problems == []
        for ledger in ledgers:
            check(memory, ledger)
    house.end()
    entities, whole = counted(house.store)
    assert entities == whole >= sum(len(ledger.kept) for ledger in ledgers)


def counted(store: Path) -> tuple[int, int]:
    """The entities that stand, and those of them that have their change, their journal entry, their passages and the words in them."""
    with closing(sqlite3.connect(f"file:{store}?mode=ro", uri=True)) as file:
        (entities,) = file.execute("SELECT count(*) FROM entities WHERE type = 'mark'").fetchone()
        (whole,) = file.execute(
            """WITH held AS MATERIALIZED (SELECT p.entity, count(*) AS passages FROM passages p JOIN words_docsize w ON w.id = p.id
                                          WHERE p.message = 0 GROUP BY p.entity),
                    noted AS MATERIALIZED (SELECT DISTINCT j.id, j.number, j.after FROM journal j JOIN changes c ON c.number = j.number
                                           WHERE j.subject = 'entity')
               SELECT count(*) FROM entities e
               JOIN noted n ON n.id = e.id AND n.number = e.began AND n.after = e.version
               JOIN held h ON h.entity = e.id
               WHERE e.type = 'mark' AND h.passages = ?""",
            (PARTS + 1,),
        ).fetchone()
    return entities, whole


def check(memory: Memory, ledger: Ledger) -> None:
    """Everything acknowledged is there under its id; everything that is there is whole."""
    names = sorted(ledger.sent)
    there: set[str] = set()
    for at in range(0, len(names), 500):
        graph = memory.send(OpenNodes(list(names[at : at + 500]), relations=False))
        for found in graph.entities:
            there.add(found.name)
            wanted = entity(found.name)
            assert (found.observations, found.properties, found.tags) == (
                wanted.observations,
                wanted.properties,
                wanted.tags,
            )
            if found.name in ledger.kept:
                assert found.id == ledger.kept[found.name]
    assert ledger.kept.keys() <= there
    said: dict[int, str] = {}
    cursor = None
    while True:
        page = memory.messages_by(f"stream {ledger.who}", limit=1000, cursor=cursor)
        said |= {one.id: one.content for one in page.messages}
        cursor = page.cursor
        if cursor is None:
            break
    assert all(said.get(number) == f"message {name}" for name, number in ledger.said.items())
    assert len(set(said.values())) == len(said), "a message was applied twice"
    sample = sorted(ledger.kept)[:: max(1, len(ledger.kept) // 20)]
    for name in sample:
        hits = memory.search_nodes(name, limit=5).hits
        assert name in [hit.entity.name for hit in hits]


def test_fifty_clients_with_two_hundred_entities_each_lose_none(house: Any) -> None:
    """A thread each, two hundred calls one after the other."""
    house.start()
    house.memory().close()
    failures: list[Error] = []
    ids: dict[str, int] = {}

    def client(who: int) -> None:
        try:
            with Memory(house.settings(timeout_s=120, connect_timeout_s=60)) as memory:
                for number in range(200):
                    name = f"{who}/{number}"
                    ids[name] = memory.create_entities([EntityInput(name, "t", [f"said by {who}"])]).results[0].id
        except Error as problem:
            failures.append(problem)

    threads = [threading.Thread(target=client, args=(who,)) for who in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(ids) == len(set(ids.values())) == 10_000
    with house.memory() as memory:
        names = sorted(ids)
        for at in range(0, len(names), 1000):
            found = memory.open_nodes(list(names[at : at + 1000]), relations=False).entities
            assert {one.name: one.id for one in found} == {name: ids[name] for name in names[at : at + 1000]}
        assert memory.get_memory_status().total_entities == 10_000
        assert memory.verify().problems == []
