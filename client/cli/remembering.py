"""Verbs that make memories of text: facts found in a conversation, what a stream or an entity says in short."""

import sys
from pathlib import Path

from enhanced_memory.client.cli.arguments import positive
from enhanced_memory.client.cli.declare import Answer, Call, argument, verb
from enhanced_memory.client.cli.exits import Usage
from enhanced_memory.client.cli.output import Paper
from enhanced_memory.client.operations.facts import Extracted
from enhanced_memory.client.operations.summaries import Summarized

MARKS = {"stored": "green", "found": "", "known": "dim", "unsure": "dim"}


@verb(
    "extract",
    "Find facts in a conversation: preferences, requirements, decisions, plans, habits and what people are.",
    argument("file", metavar="FILE", nargs="?", help="the conversation as text; - for standard input"),
    argument("--stream", metavar="NAME", help="instead of a file: the newest messages of this stream"),
    argument("--keep", action="store_true", help="store those that are sure enough; otherwise they are only shown"),
    argument("--session", metavar="ID", help="note them under this session"),
    argument("--project", metavar="NAME", default="project", help="the entity that gets what `we` decided (project)"),
    argument("--threshold", type=float, default=0.6, help="store from this confidence on (0.6)"),
    argument("--trust", choices=("agent", "tool", "import"), help="tool: the text is a tool's or a web page's"),
    argument("--language", metavar="CODE", default="", help="en or de; unless given, found out"),
)  # fmt: skip
def extract(call: Call) -> Answer:
    """Turns begin with `Name: ` at the beginning of a line; without them the whole text is the user's. Secrets are masked."""
    given = call.given
    if (given.file is None) == (given.stream is None):
        raise Usage("give a file, or --stream")
    text = ""
    if given.file is not None:
        raw = sys.stdin.buffer.read() if given.file == "-" else Path(given.file).read_bytes()
        text = raw.decode("utf-8", "replace").replace("\0", "\ufffd")
    found = call.memory.auto_extract_facts(
        text,
        given.session,
        auto_store=given.keep,
        stream=None if given.stream is None else call.ref(given.stream),
        threshold=given.threshold,
        project=given.project,
        trust=given.trust,
        language=given.language,
    )
    return Answer(found, lambda paper: _tell_facts(paper, found))


def _tell_facts(paper: Paper, found: Extracted) -> None:
    for fact in found.facts:
        often = f", {fact.times} times" if fact.times > 1 else ""
        trust = f", trust {fact.trust}" if fact.trust != "agent" else ""
        paper.line(f"{fact.subject}: {fact.text}", MARKS[fact.status])
        paper.line(f"{fact.kind}, {fact.confidence:.2f}{often}{trust}, {fact.status}", "dim", indent=4)
    masked = "".join(f"; masked: {count} × {sort}" for sort, count in found.masked.items())
    paper.line(f"{found.count} facts in {found.sentences} sentences, {found.stored} stored{masked}", "dim")
    if found.note:
        paper.line(found.note, "yellow")


@verb(
    "summarize",
    "Tell in short what a stream or an entity says.",
    argument("name", metavar="NAME", help="by name, or by id as '#12' or id:12"),
    argument("--chars", type=positive, default=800, help="about how long (800)"),
    argument("--limit", "-n", type=positive, default=1000, help="of a stream: the newest messages (1000)"),
    argument("--keep", action="store_true", help="keep it as an entity of the type `summary`"),
)
def summarize(call: Call) -> Answer:
    """The sentences that say most of it, as they were said, and below them what happened, who changed, what follows."""
    given = call.given
    told = call.memory.summarize_entity(call.ref(given.name), chars=given.chars, limit=given.limit)
    if given.keep and told.text:
        call.memory.store_summary(told.entity, told.text, key_events=[one.text for one in told.key_events],
                                  plot_points=[one.text for one in told.plot_points],
                                  developments={name: [one.text for one in said] for name, said in told.developments.items()},
                                  first=told.first, last=told.last, method=told.method)  # fmt: skip
    return Answer(told, lambda paper: _tell_summary(paper, told))


def _tell_summary(paper: Paper, told: Summarized) -> None:
    for line in told.text.splitlines() or ["Nothing is said that could be told in short."]:
        paper.line(line)
    for title, lines in (("Key events", told.key_events), ("Plot points", told.plot_points)):
        if lines:
            paper.head(title)
            for one in lines:
                paper.line(f"- {one.text}", indent=2)
    for name, lines in told.developments.items():
        paper.head(name)
        for one in lines:
            paper.line(f"- {one.text}", indent=2)
    by = "" if told.method == "extractive" else f", by {told.method}"
    paper.line(f"{told.lines:,} {told.of}, {told.first} to {told.last}{by}" if told.lines else "", "dim")
    if told.note:
        paper.line(told.note, "dim")
