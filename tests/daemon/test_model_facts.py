"""Facts found by a model, against a server of our own that answers as Anthropic's does: what is sent, what is believed, what it costs."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import msgspec
import pytest

from enhanced_memory.client.errors import NotFound
from enhanced_memory.client.operations.entities import CreateEntities
from enhanced_memory.client.operations.facts import AutoExtractFacts, Extracted
from enhanced_memory.client.operations.sessions import ArchiveSession, EndSession, StartSession
from enhanced_memory.client.operations.streams import AppendMessages, GetWindow, KeepSummary
from enhanced_memory.client.operations.summaries import Summarized, SummarizeEntity
from enhanced_memory.client.request import Request
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import EntityInput, MessageInput
from enhanced_memory.daemon.call import Call, Peer
from enhanced_memory.daemon.dispatch import answer_from
from enhanced_memory.daemon.extraction import model as model_of_facts
from enhanced_memory.daemon.extraction.model import Model
from enhanced_memory.daemon.extraction.values import UnansweredError
from enhanced_memory.daemon.handlers.entities import create_entities
from enhanced_memory.daemon.metrics import Metrics
from enhanced_memory.daemon.service import Service
from enhanced_memory.daemon.store import Engine
from enhanced_memory.daemon.summing_up import SummingUp

pytest.importorskip("anthropic", reason="the extra llm is not installed")

TALK = "user: I prefer tea, and my password is hunter2.\ntool: The user loves rum. Ruth lives in Haifa."
FACTS = [
    ("Prefers tea", "preference", "user", "user", "I prefer tea"),
    ("Loves rum", "preference", "user", "user", "The user loves rum."),
    ("Lives in Haifa", "profile", "Ruth", "person", "Ruth lives in Haifa."),
    ("Owns a yacht", "profile", "user", "user", "I own a yacht."),
]


class Stub:
    """A server that answers every question alike, and notes what it was asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.status = 200
        self.stop_reason = "tool_use"
        self.waits = threading.Event()
        self.waits.set()
        self.input: Any = {
            "facts": [
                {"text": text, "kind": kind, "subject": who, "subject_type": sort, "source": source, "confidence": 0.9}
                for text, kind, who, sort, source in FACTS
            ]
        }
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                stub.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
                stub.waits.wait(10)
                said = {
                    "id": "msg_1", "type": "message", "role": "assistant", "model": "stub", "stop_reason": stub.stop_reason,
                    "stop_sequence": None, "usage": {"input_tokens": 300, "output_tokens": 100},
                    "content": [] if stub.stop_reason == "refusal" else [
                        {"type": "tool_use", "id": "t1", "name": stub.asked[-1]["tools"][0]["name"], "input": stub.input}
                    ],
                } if stub.status == 200 else {"type": "error", "error": {"type": "api_error", "message": "no"}}  # fmt: skip
                body = json.dumps(said).encode()
                self.send_response(stub.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "for the stub")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Stub()
    yield made
    made.waits.set()
    made.server.shutdown()
    made.server.server_close()


async def found(engine: Engine, text: str, **given: Any) -> Extracted:
    """The daemon's answer, by a service that is begun and ended for it."""
    service = Service(engine, Metrics(), Settings.load({"extractor": "anthropic", **given}))
    call = Call(Peer(client="test", user="tester", greeted=True), AutoExtractFacts(text))
    answer = await answer_from(engine, service.attended, service.before)(call)
    service.extraction.stop()
    await service.detection.stop()
    await service.embedding.stop()
    return msgspec.convert(answer, Extracted)


async def test_what_the_model_finds_is_believed_as_far_as_somebody_said_it(engine: Engine, stub: Stub) -> None:
    told = await found(engine, TALK, extractor_url=stub.url, extractor_model="stub-1")
    assert (told.method, told.note) == ("stub-1", "")
    assert [(one.text, one.status, one.trust) for one in told.facts] == [
        ("Prefers tea", "stored", "agent"), ("Loves rum", "unsure", "tool"), ("Lives in Haifa", "stored", "tool"),
        ("Owns a yacht", "unsure", "agent"),
    ]  # fmt: skip


async def test_no_secret_is_sent(engine: Engine, stub: Stub) -> None:
    await found(engine, TALK, extractor_url=stub.url)
    assert "I prefer tea" in str(stub.asked)
    assert "hunter2" not in str(stub.asked)


async def test_a_days_budget_is_kept_though_the_daemon_begins_anew(engine: Engine, stub: Stub) -> None:
    await found(engine, TALK, extractor_url=stub.url, extractor_tokens_day=2500)
    told = await found(engine, TALK, extractor_url=stub.url, extractor_tokens_day=2500)
    assert len(stub.asked) == 1
    assert (told.method, "budget of 2,500 tokens" in told.note) == ("rules", True)


async def test_what_is_asked_at_one_time_shares_the_budget(engine: Engine, stub: Stub) -> None:
    settings = Settings.load({"extractor": "anthropic", "extractor_url": stub.url, "extractor_tokens_day": 4000})
    model = Model(settings, engine.clock)
    answers = await asyncio.gather(*(model.facts(TALK) for _ in range(3)), return_exceptions=True)
    assert [type(one) for one in answers].count(UnansweredError) == 2
    assert len(stub.asked) == 1


WRONG: dict[str, Callable[[Stub], None]] = {
    "an error": lambda stub: setattr(stub, "status", 400),
    "another form": lambda stub: setattr(stub, "input", {"facts": [{"text": 7}]}),
    "a refusal": lambda stub: setattr(stub, "stop_reason", "refusal"),
    "half an answer": lambda stub: setattr(stub, "stop_reason", "max_tokens"),
    "nothing": lambda stub: stub.waits.clear(),
}


@pytest.mark.parametrize("wrong", WRONG)
async def test_where_the_model_does_not_answer_the_rules_do_and_say_so(
    engine: Engine, stub: Stub, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_of_facts, "WAIT_S", 0.05)
    WRONG[wrong](stub)
    told = await found(engine, TALK, extractor_url=stub.url)
    assert told.method == "rules"
    assert told.note.startswith("found by rules: the model")
    assert next(one.text for one in told.facts if one.status == "stored") == "I prefer tea"


async def summed_up(engine: Engine, url: str, **given: Any) -> Summarized:
    """A summary of somebody with a secret, by a daemon whose setting names the model."""
    peer = Peer(client="test", user="tester", greeted=True)
    settings = Settings.load({"summarizer": "anthropic", "extractor_url": url, **given})
    ask = CreateEntities([EntityInput("Ada", "person", ["Ada prefers tea.", "Her password is hunter2."])])
    await engine.write(lambda tx: create_entities(tx, ask), Call(peer, ask))
    return await SummingUp(engine, settings).summarize(Call(peer, SummarizeEntity("Ada")))


async def test_a_summary_is_the_models_where_a_setting_says_so(engine: Engine, stub: Stub) -> None:
    stub.input = {"text": "Ada drinks tea."}
    told = await summed_up(engine, stub.url, extractor_model="stub-1")
    assert (told.text, told.method, told.sentences, told.note) == ("Ada drinks tea.", "stub-1", [], "")
    assert "Ada prefers tea." in str(stub.asked)
    assert "hunter2" not in str(stub.asked)


async def test_a_summary_that_no_model_writes_is_made_of_sentences_and_says_so(engine: Engine, stub: Stub) -> None:
    stub.stop_reason = "refusal"
    told = await summed_up(engine, stub.url)
    assert (told.method, told.note) == ("extractive", "by the sentences that say most: the model refused to answer")
    assert "tea" in told.text
    assert (await summed_up(engine, stub.url, summarizer="extractive")).note == ""
    assert len(stub.asked) == 1


SAID = [
    MessageInput("My password is hunter2.", "user"),
    MessageInput("Never mind that.", "system"),
    MessageInput("We decided to ship on Friday, because the audit is over.", "user"),
]


async def asked(engine: Engine, url: str, *requests: Request[Any], key: str | None = None, **given: Any) -> Any:
    """The answer to the last of some requests, by a daemon whose setting names the model."""
    service = Service(engine, Metrics(), Settings.load({"summarizer": "anthropic", "extractor_url": url, **given}))
    answer = answer_from(engine, service.attended, service.before)
    peer = Peer(client="test", user="tester", greeted=True)
    try:
        for request in requests:
            told = await answer(Call(peer, request, key=key if request is requests[-1] else None))
    finally:
        service.extraction.stop()
        await service.detection.stop()
        await service.embedding.stop()
    return told


async def test_what_a_stream_keeps_as_its_summary_is_the_models_where_a_setting_says_so(
    engine: Engine, stub: Stub
) -> None:
    stub.input = {"text": "They ship on Friday."}
    told = await asked(
        engine, stub.url, AppendMessages("talk", SAID), KeepSummary("talk"), GetWindow("talk", messages=1),
        extractor_model="stub-1",
    )  # fmt: skip
    assert told["summary"] == "They ship on Friday."
    sent = str(stub.asked[0]["messages"])
    assert ("We decided to ship" in sent, "hunter2" in sent, "Never mind" in sent) == (True, False, False)
    kept = await asked(engine, stub.url, KeepSummary("talk"), extractor_model="stub-1")
    assert (kept["method"], kept["messages"], kept["last"] - kept["first"]) == ("stub-1", 3, 2)
    assert kept["plot_points"] == [SAID[2].content]


@pytest.mark.parametrize("last", [EndSession("s"), ArchiveSession("s")])
async def test_a_session_is_summed_up_by_the_model_as_it_ends(engine: Engine, stub: Stub, last: Request[Any]) -> None:
    stub.input = {"text": "They ship on Friday."}
    told = await asked(engine, stub.url, StartSession("s"), AppendMessages("s", SAID), last)
    assert told["summary"] == "They ship on Friday."
    again = await asked(engine, stub.url, EndSession("s"))
    assert (again["summary"], len(stub.asked)) == (told["summary"], 1)


async def test_a_stream_keeps_an_extract_where_the_model_does_not_answer_and_says_so(
    engine: Engine, stub: Stub
) -> None:
    stub.stop_reason = "refusal"
    told = await asked(engine, stub.url, AppendMessages("talk", SAID), KeepSummary("talk"))
    assert (told.get("method", "extractive"), told["note"]) == (
        "extractive",
        "by the sentences that say most: the model refused to answer",
    )
    assert "Friday" in told["text"]


async def test_a_summary_that_is_sent_again_is_not_paid_for_again(engine: Engine, stub: Stub) -> None:
    stub.input = {"text": "They ship on Friday."}
    first = await asked(engine, stub.url, AppendMessages("talk", SAID), KeepSummary("talk"), key="once")
    assert await asked(engine, stub.url, KeepSummary("talk"), key="once") == first
    assert len(stub.asked) == 1


async def test_a_summary_that_the_caller_wrote_asks_no_model(engine: Engine, stub: Stub) -> None:
    told = await asked(engine, stub.url, AppendMessages("talk", SAID), KeepSummary("talk", text="by me"))
    assert (told["text"], told["method"], stub.asked) == ("by me", "caller", [])
    with pytest.raises(NotFound):
        await asked(engine, stub.url, KeepSummary("nobody"))


async def test_nothing_is_asked_unless_a_setting_says_so(engine: Engine, stub: Stub) -> None:
    told = await found(engine, TALK, extractor_url=stub.url, extractor="rules")
    assert (stub.asked, told.method) == ([], "rules")
