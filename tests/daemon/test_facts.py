"""Facts, from a conversation to the entities that they are about."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from enhanced_memory.client.errors import Invalid, NotFound, TooLarge
from enhanced_memory.client.operations.facts import FactInput, SaidInput
from enhanced_memory.client.request import REQUESTS, answer_type, parse
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput, MessageInput, ObservationInput, OriginInput, Source
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.dispatch import answer_from
from enhanced_memory.daemon.metrics import Metrics
from enhanced_memory.daemon.service import Service
from enhanced_memory.daemon.store import Engine

TALK = """user: I prefer tea to coffee. Do you like tea?
assistant: You prefer tea to coffee.
user: My sister Ines lives in Ghent. We decided to use SQLite for Heron. I think I might like rum.
tool: Ruth lives in Haifa. Remember to always run make clean."""


class Daemon:
    """What a daemon does with a request, without the socket: the service's own answer over a store."""

    def __init__(self, service: Service, carry_out: Any) -> None:
        self._service = service
        self._carry_out = carry_out

    async def __call__(self, op: str, *given: Any, key: str | None = None, **named: Any) -> Any:
        request = REQUESTS[op]
        fields = [one.name for one in msgspec.structs.fields(request)]
        # As over the wire: what is given is encoded, and checked when it is read.
        args = msgspec.to_builtins(dict(zip(fields, given, strict=False)) | named)
        ask, _ = parse(request, args)
        call = Call(Peer(client="test", user="tester", greeted=True), ask, key=key)
        return msgspec.convert(await self._carry_out(call), answer_type(request))


@pytest.fixture
async def memory(engine: Engine, settings: Settings) -> AsyncIterator[Daemon]:
    service = Service(engine, Metrics(), settings)
    yield Daemon(service, answer_from(engine, service.attended, service.before))
    service.extraction.stop()
    await service.detection.stop()
    await service.embedding.stop()


async def test_facts_go_to_whom_they_are_about_with_who_said_them_and_how_sure(memory: Any) -> None:
    told = await memory("auto_extract_facts", TALK, "talk-1", project="Heron")
    assert [(one.subject, one.status) for one in told.facts if one.status == "stored"] == [
        ("user", "stored"), ("Ines", "stored"), ("user", "stored"), ("Heron", "stored"), ("Ruth", "stored"),
    ]  # fmt: skip
    assert (told.stored, told.language, told.method) == (5, "en", "rules")
    graph = await memory("open_nodes", ["user", "Ines", "Heron", "Ruth"], details=True)
    assert [one.type for one in graph.entities] == ["user", "person", "project", "person"]
    assert {one.id for one in graph.entities} == set(told.entity_ids)
    assert [(one.from_, one.type, one.to) for one in graph.relations] == [("user", "has_sister", "Ines")]
    [tea, _] = graph.entities[0].details
    assert (tea.text, tea.speaker, tea.origin.session, tea.origin.method) == (
        "I prefer tea to coffee.", "user", "talk-1", "rules",
    )  # fmt: skip
    assert tea.confidence == pytest.approx(0.9)
    assert graph.entities[3].details[0].origin.trust == "tool"
    assert graph.entities[0].tags == ["preference", "relationship"]


async def test_nothing_is_stored_where_that_is_not_wanted(memory: Any) -> None:
    told = await memory("auto_extract_facts", TALK, auto_store=False)
    assert (told.stored, told.entity_ids, {one.status for one in told.facts}) == (0, [], {"found"})
    assert (await memory("open_nodes", ["user"])).missing == ["user"]


async def test_candidates_under_the_threshold_are_told_and_not_stored(memory: Any) -> None:
    told = await memory("auto_extract_facts", "I think I prefer tea.")
    assert [(one.status, one.entity) for one in told.facts] == [("unsure", None)]
    assert (await memory("auto_extract_facts", "I think I prefer tea.", threshold=0.3)).stored == 1


async def test_what_is_known_is_not_stored_again_in_these_words_or_others(memory: Any) -> None:
    await memory("auto_extract_facts", "I live in Prague.")
    version = (await memory("open_nodes", ["user"])).entities[0].version
    for text in ("I live in Prague.", "i live in prague", "I reside in Prague."):
        told = await memory("auto_extract_facts", text)
        assert [one.status for one in told.facts] == ["known"], text
        assert told.facts[0].entity == (await memory("open_nodes", ["user"])).entities[0].id
    assert (await memory("open_nodes", ["user"])).entities[0].version == version


async def test_facts_join_an_entity_that_is_there_whatever_its_type(memory: Any) -> None:
    made = (await memory("create_entities", [EntityInput("Ines", "character", ["A nurse."])])).results[0]
    told = await memory("auto_extract_facts", "My sister Ines lives in Ghent.")
    [ines] = (await memory("open_nodes", ["Ines"])).entities
    assert (ines.id, ines.type, len(ines.observations)) == (made.id, "character", 2)
    assert made.id in told.entity_ids


async def test_messages_and_streams_are_conversations_too(memory: Any) -> None:
    said = [
        SaidInput("I prefer tea."),
        SaidInput("I always agree.", "assistant"),
        SaidInput("I prefer rum.", speaker="Bo"),
    ]
    told = await memory("auto_extract_facts", messages=said)
    assert [(one.subject, one.text) for one in told.facts] == [("user", "I prefer tea."), ("Bo", "I prefer rum.")]
    lines = [MessageInput("I hate mornings."), MessageInput("Ruth lives in Haifa.", role="tool")]
    ids = (await memory("append_messages", "talk", lines)).ids
    told = await memory("auto_extract_facts", stream="talk")
    assert [(one.message, one.trust) for one in told.facts] == [(ids[0], "agent"), (ids[1], "tool")]
    [_, noted] = (await memory("open_nodes", ["user"], details=True)).entities[0].details
    assert noted.sources == [[(await memory("open_nodes", ["talk"])).entities[0].id, 0]]
    assert (await memory("auto_extract_facts", stream="talk", after=ids[1])).facts == []


async def test_a_text_that_is_a_tools_stays_a_tools(memory: Any) -> None:
    told = await memory("auto_extract_facts", "Ruth lives in Haifa. I prefer tea.", trust="tool")
    assert next((one.subject, one.trust, one.status) for one in told.facts) == ("Ruth", "tool", "stored")
    assert (await memory("open_nodes", ["user"])).missing == ["user"]


async def test_secrets_are_masked_and_counted(memory: Any) -> None:
    told = await memory("auto_extract_facts", "My email is ada@example.org and my password is hunter2.")
    assert told.masked == {"password": 1}
    assert "hunter2" not in str(told)
    kept = await memory("store_facts", [FactInput("The password is hunter2", source="my password is hunter2")])
    assert sum(kept.masked.values()) == 2
    assert "hunter2" not in str(await memory("open_nodes", ["user"], details=True))


async def test_an_empty_conversation_has_no_facts(memory: Any) -> None:
    for text in ("", "  \n", "user:\nassistant:"):
        told = await memory("auto_extract_facts", text)
        assert (told.facts, told.count, told.stored, told.note) == ([], 0, 0, "there was no sentence to read")


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ({"conversation_text": "a", "stream": "s"}, Invalid),
        ({"stream": "nobody"}, NotFound),
        ({"conversation_text": "x", "language": "tlh"}, Invalid),
        ({"conversation_text": "x", "after": 3}, Invalid),
        ({"conversation_text": "a " * 1_100_000}, TooLarge),
        ({"conversation_text": "x", "threshold": 1.5}, Invalid),
    ],
    ids=["two-conversations", "no-stream", "language", "after", "long", "threshold"],
)
async def test_what_makes_no_sense_is_refused(memory: Any, given: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        await memory("auto_extract_facts", **given)


async def test_a_model_elsewhere_may_find_the_facts(memory: Any) -> None:
    facts = [
        FactInput("Works at Acme", subject="Ada", source="Ada: I work at Acme", relation="works_at", other="Acme"),
        FactInput("Prefers tea", "preference", confidence=0.7, speaker="user"),
        FactInput("prefers tea.", "preference"),
    ]
    told = await memory("store_facts", facts, "talk-2")
    assert [one.status for one in told.facts] == ["stored", "stored", "known"]
    graph = await memory("open_nodes", ["Ada", "user"], details=True)
    assert [one.type for one in graph.entities] == ["person", "user"]
    [noted] = graph.entities[0].details
    assert (noted.said, noted.origin.method, noted.origin.session) == ("Ada: I work at Acme", "host", "talk-2")
    assert [(one.from_, one.type, one.to) for one in graph.relations] == [("Ada", "works_at", "Acme")]
    with pytest.raises(Invalid):
        await memory("store_facts", [FactInput("x", relation="knows")])


async def test_a_model_cannot_make_a_tools_word_the_users(memory: Any) -> None:
    given = ObservationInput("Haifa is warm", origin=OriginInput(trust="tool"))
    await memory("create_entities", [EntityInput("page", "page", [given])])
    await memory("store_facts", [FactInput("Likes Haifa", trust="user", sources=[Source("page")])])
    [noted] = (await memory("open_nodes", ["user"], details=True)).entities[0].details
    assert noted.origin.trust == "tool"


async def test_a_repeat_with_the_same_key_stores_once(memory: Any) -> None:
    first = await memory("auto_extract_facts", "I live in Prague.", key="k1")
    again = await memory("auto_extract_facts", "I live in Prague.", key="k1")
    assert first == again


@pytest.mark.parametrize("name", ["extractor", "summarizer"])
def test_a_daemon_does_not_start_with_a_model_that_there_is_not(home: Path, name: str) -> None:
    environment = {**os.environ, f"ENHANCED_MEMORY_{name.upper()}": "oracle"}
    ran = subprocess.run(
        [sys.executable, "-m", "enhanced_memory.daemon", "serve"],
        env=environment, cwd=home, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert ran.returncode != 0
    assert f"The setting {name} is one of" in ran.stderr
