"""Extraction as the daemon does it: in a thread, before the transaction, bounded; what is found is noted on the call."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from enhanced_memory.client.errors import Invalid, TooLarge
from enhanced_memory.client.operations.facts import AutoExtractFacts, Extracted, Fact, StoreFacts
from enhanced_memory.client.operations.streams import MessagesBy, RecentMessages
from enhanced_memory.client.settings import Settings
from enhanced_memory.client.values import TRUST_ORDER, Message, Origin, Trust
from enhanced_memory.daemon.call import Call
from enhanced_memory.daemon.conflicts.comparing import compare, related
from enhanced_memory.daemon.conflicts.statements import plain, read
from enhanced_memory.daemon.extraction.values import UnansweredError
from enhanced_memory.daemon.handlers import cursors
from enhanced_memory.daemon.handlers.streams import messages_by, recent_messages
from enhanced_memory.daemon.store import Engine, Tx
from enhanced_memory.daemon.text import check_text

if TYPE_CHECKING:
    from enhanced_memory.daemon.extraction.extracting import Extraction
    from enhanced_memory.daemon.extraction.model import Model
    from enhanced_memory.daemon.extraction.turns import Turn

__all__ = ["EXTRACTORS", "Extracting"]

EXTRACTORS = ("rules", "anthropic")

# The rules are imported when a conversation is first read: most daemons never read one, and 3 MB of patterns are 3 MB.

MOST_MESSAGES = 1000
"""Messages of a stream that one call reads."""
COMPARED = 300
"""Observations of a subject, the newest, that a new fact is compared with."""
MOST_COMPARED = 20_000
"""Pairs that are compared for one call; what is left is compared letter by letter when it is stored."""
UNFOUNDED = 0.5
"""What a model's fact reaches at the most whose sentence nobody said, or a tool about the user."""
SAME = 0.8
"""The confidence from which on two sentences are taken to say the same."""


class Extracting:
    """Finds the facts of conversations."""

    def __init__(self, engine: Engine, settings: Settings) -> None:
        self._engine = engine
        self._settings = settings
        self._pool = ThreadPoolExecutor(1, "extraction")
        self._model: Model | None = None

    def stop(self) -> None:
        """Wait for what is being read, and end."""
        self._pool.shutdown(wait=True)

    async def _run(self, work: Any, *given: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, partial(work, *given))

    async def extract(self, call: Call) -> None:
        """Note on the call the facts of the conversation that it brings, and which of them are known."""
        ask: Any = call.ask
        assert isinstance(ask, AutoExtractFacts)
        self._check(ask)
        await self._run(_check_language, ask.language)
        lines: list[tuple[Message, Trust]] = []
        if ask.stream is not None:
            lines = await self._engine.read(partial(_lines, ask.stream, ask.after), call)
        found: Extraction = await self._run(_extracted, ask, lines)
        facts = [
            Fact(
                one.found.text, one.found.kind, one.found.subject, one.found.subject_type, one.found.confidence, "found",
                one.speaker, one.source, _lower(one.trust, ask.trust), one.line or None, one.times, None,
                one.found.relation, one.found.other,
            )
            for one in found.facts
        ]  # fmt: skip
        notes = ["there was more than is read at once"] if found.cut or len(lines) == MOST_MESSAGES else []
        if not found.sentences:
            notes.append("there was no sentence to read")
        method = "rules"
        if self._settings.extractor == "anthropic" and found.sentences:
            try:
                facts = await self._by_model(ask, lines)
                method = self._settings.extractor_model
            except UnansweredError as problem:
                notes.append(f"found by rules: {problem}")
        facts = await self._known(call, facts, ask.threshold)
        call.facts = Extracted(
            facts,
            masked=found.masked,
            sentences=found.sentences,
            language=found.language,
            method=method,
            note="; ".join(notes),
        )

    async def _by_model(self, ask: AutoExtractFacts, lines: list[tuple[Message, Trust]]) -> list[Fact]:
        """What the model finds. A sentence that nobody said makes a fact unsure; one that a tool said, a tool's."""
        if self._model is None:
            from enhanced_memory.daemon.extraction.model import Model

            self._model = Model(self._settings, self._engine.clock)
        spoken, by_tools = await self._run(_spoken, ask, lines)
        facts: list[Fact] = []
        for one in await self._model.facts(spoken):
            sure = 0.7 if one.confidence is None else one.confidence
            source = plain(one.source)
            trust: Trust = "agent"
            if not source or source not in plain(spoken):
                sure = min(sure, UNFOUNDED)
            elif source in plain(by_tools):
                trust = "tool"
                if one.subject == "user" or one.kind in ("requirement", "decision"):
                    sure = min(sure, UNFOUNDED)
            kind = one.subject_type or ("user" if one.subject == "user" else "person")
            facts.append(
                Fact(
                    one.text, one.kind, one.subject, kind, round(sure, 2), "found", one.speaker, one.source,
                    _lower(trust, ask.trust),
                )
            )  # fmt: skip
        return facts

    def _check(self, ask: AutoExtractFacts) -> None:
        given = sum((bool(ask.conversation_text), bool(ask.messages), ask.stream is not None))
        if given > 1:
            raise Invalid("A conversation is given twice.", "give conversation_text, messages or a stream")
        if ask.after is not None and ask.stream is None:
            raise Invalid("`after` is a message of a stream, and no stream is given.")
        limit = self._settings.max_extract_chars
        length = len(ask.conversation_text) + sum(len(one.content) for one in ask.messages)
        if length > limit:
            raise TooLarge(
                f"The conversation has {length:,} characters; the limit is {limit:,}.", "extract it in parts"
            )
        check_text(ask.project, "The project", self._settings.max_name_chars)

    async def look(self, call: Call) -> None:
        """Note on the call the facts that it brings, secrets masked, and which of them are known."""
        ask: Any = call.ask
        assert isinstance(ask, StoreFacts)
        settings = self._settings
        facts: list[Fact] = []
        hidden: dict[str, int] = {}
        masked: Callable[[str], tuple[str, dict[str, int]]] = await self._run(_masking)
        for given in ask.facts:
            check_text(given.text, "A fact", settings.max_text_chars)
            check_text(given.source, "A fact's source", settings.max_text_chars)
            for what in ("speaker", "subject_type", "relation", "other"):
                check_text(getattr(given, what), f"A fact's {what}", settings.max_name_chars)
            if bool(given.relation) != bool(given.other):
                raise Invalid("A fact's relation leads to an `other`; one of both is missing.")
            text, one = masked(given.text)
            source, more = masked(given.source) if given.source != given.text else (text, {})
            for sort, count in (*one.items(), *more.items()):
                hidden[sort] = hidden.get(sort, 0) + count
            kind = given.subject_type or ("user" if given.subject == "user" else "person")
            facts.append(
                Fact(
                    text, given.kind, given.subject, kind, 0.8 if given.confidence is None else given.confidence, "stored",
                    given.speaker, source, given.trust or "agent", relation=given.relation, other=given.other,
                )
            )  # fmt: skip
        call.facts = Extracted(await self._known(call, facts, 0.0), masked=hidden, method="host")

    async def _known(self, call: Call, facts: list[Fact], threshold: float) -> list[Fact]:
        """The facts, those marked that their entities say already, in these words or others."""
        subjects = list(dict.fromkeys(fact.subject for fact in facts if fact.confidence >= threshold))
        said: dict[str, tuple[int, list[str]]] = await self._engine.read(partial(_said, subjects), call)
        return await self._run(_marked, facts, said) if said else facts


def _lower(one: Trust, other: Trust | None) -> Trust:
    return one if other is None or TRUST_ORDER.index(other) < TRUST_ORDER.index(one) else other


def _check_language(code: str) -> None:
    from enhanced_memory.daemon.extraction.extracting import LANGUAGES

    if code and code not in LANGUAGES:
        raise Invalid(f"Facts are not read in {code[:20]!r}.", f"use one of {', '.join(LANGUAGES)}, or leave it out")


def _masking() -> Callable[[str], tuple[str, dict[str, int]]]:
    from enhanced_memory.daemon.extraction.secrets import masked

    return masked


def _extracted(ask: AutoExtractFacts, lines: list[tuple[Message, Trust]]) -> "Extraction":
    from enhanced_memory.daemon.extraction.extracting import extract

    return extract(_turns(ask, lines), ask.project, ask.language)


def _spoken(ask: AutoExtractFacts, lines: list[tuple[Message, Trust]]) -> tuple[str, str]:
    """The conversation as it is sent to a model, secrets masked, and what of it tools say."""
    masked = _masking()
    told = [(one.role, f"{one.speaker or one.role}: {masked(one.text)[0].strip()}") for one in _turns(ask, lines)]
    return "\n".join(text for _, text in told), "\n".join(text for role, text in told if role == "tool")


def _turns(ask: AutoExtractFacts, lines: list[tuple[Message, Trust]]) -> "list[Turn]":
    from enhanced_memory.daemon.extraction.turns import Turn, role_of, turns

    if lines:
        said = [
            Turn(
                one.content,
                one.speaker,
                "tool"
                if (trust in ("tool", "import") and one.role != "user") or one.role == "tool"
                else role_of(one.role),
                one.id,
            )
            for one, trust in lines
        ]
    elif ask.messages:
        said = [Turn(one.content, one.speaker, role_of(one.role), 0) for one in ask.messages]
    else:
        said = turns(ask.conversation_text)
    if ask.trust in ("tool", "import"):
        said = [msgspec.structs.replace(one, role="tool") if one.role == "user" else one for one in said]
    return said


def _lines(stream: int | str, after: int | None, tx: Tx) -> list[tuple[Message, Trust]]:
    """The newest messages of a stream, or those behind one, and what each is trusted as."""
    if after is None:
        found = recent_messages(tx, RecentMessages(stream, limit=MOST_MESSAGES)).messages
    else:
        found = messages_by(tx, MessagesBy(stream, limit=MOST_MESSAGES, cursor=cursors.write(after, after))).messages
    changes = tx.log.changes({one.change for one in found})
    none = Origin()
    return [(one, (changes[one.change].origin if one.change in changes else none).trust) for one in found]


def _said(subjects: list[str], tx: Tx) -> dict[str, tuple[int, list[str]]]:
    told: dict[str, tuple[int, list[str]]] = {}
    for subject in subjects:
        known = tx.entities.find(subject)
        if known is not None:
            told[subject] = (known.id, [noted.text for noted in known.state.observations[-COMPARED:]])
    return told


def _marked(facts: list[Fact], said: dict[str, tuple[int, list[str]]]) -> list[Fact]:
    marked: list[Fact] = []
    left = MOST_COMPARED
    for fact in facts:
        entity, texts = said.get(fact.subject, (0, []))
        left -= len(texts)
        if texts and _says(fact.text, texts, left > 0):
            fact = msgspec.structs.replace(fact, status="known", entity=entity)
        marked.append(fact)
    return marked


def _says(text: str, texts: list[str], closely: bool) -> bool:
    same = plain(text)
    if any(plain(one) == same for one in texts):
        return True
    if not closely:
        return False
    new = read(text)
    for one in texts:
        old = read(one)
        if related(old, new):
            verdict = compare(old, new)
            if verdict is not None and verdict.kind == "duplicate" and verdict.confidence >= SAME:
                return True
    return False
