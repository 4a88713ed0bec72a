"""A conversation as turns, and of each turn what is prose: code, logs, quoted lines and quotations are left out. Pure."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal

import msgspec

from enhanced_memory.daemon.extraction.wordlists import wordlist

__all__ = ["Role", "Turn", "prose", "role_of", "turns"]

Role = Literal["user", "assistant", "system", "tool"]

_ROLES: dict[str, Role] = {
    "user": "user", "human": "user", "me": "user", "you": "user", "customer": "user",
    "assistant": "assistant", "ai": "assistant", "bot": "assistant", "agent": "assistant", "model": "assistant",
    "chatgpt": "assistant", "claude": "assistant", "gemini": "assistant", "copilot": "assistant", "llm": "assistant",
    "system": "system", "developer": "system",
    "tool": "tool", "function": "tool", "output": "tool", "result": "tool", "stdout": "tool", "stderr": "tool", "observation": "tool",
}  # fmt: skip


class Turn(msgspec.Struct, frozen=True):
    """What one side says without a break."""

    text: str
    speaker: str = ""
    """As it is called; empty where nobody is named."""
    role: Role = "user"
    line: int = 0
    """The message it is of, where it is of one."""


def role_of(speaker: str) -> Role:
    """The part that a speaker plays: whoever has a name of their own speaks for themselves."""
    return _ROLES.get(re.split(r"[\s:(\[]", speaker.strip().lower())[0], "user")


_STAMP = r"(?:[\[(]?\d{1,4}[-/.:]\d{1,2}(?:[-/.:]\d{1,4})?(?:[T,]? ?\d{1,2}:\d{2}(?::\d{2})?)?(?:\.\d+)?Z?(?: ?[ap]m)?[\])]?[ \t]*[-–]?[ \t]*)?"
_SPEAKER = re.compile(
    rf"^[ \t]*{_STAMP}(?:\*\*|__|#+[ \t]+|<)?(?P<who>[^\W\d_][\w.'’-]*(?: [A-Z][\w.'’-]*){{0,2}})"
    r"(?:[ \t]*[\[(][^\])\n]{1,30}[\])])?(?:\*\*|__)?(?:>|[ \t]*:)(?:\*\*)?(?=\s|$)",
    re.MULTILINE,
)
_LABELS = wordlist("""
    note notes todo decision decisions requirement requirements plan plans update summary ps fyi edit correction reminder
    warning error info debug example examples question answer q a subject from to cc date deadline goal goals status action
    actions idea ideas context problem solution conclusion result results name email phone address birthday tip hint
    important attention caution minutes agenda attendees open done next preference preferences budget title tags also btw
    location where when who what why how language timezone role job age height weight http https version default editor
    """)


def turns(text: str) -> list[Turn]:
    """The turns of a conversation written as text: `Name: …` at the beginning of a line. Text without them is one turn of the user."""
    marks = [match for match in _SPEAKER.finditer(text) if match["who"].lower() not in _LABELS]
    often = Counter(match["who"].lower() for match in marks)
    several = len(often) > 1
    marks = [
        match
        for match in marks
        if match["who"].lower() in _ROLES
        or match.group().lstrip()[:1] in "*_#<[("
        or often[match["who"].lower()] > 1
        or (several and match["who"][:1].isupper())
        or (match.start() == 0 and match["who"][:1].isupper())
    ]
    if not marks:
        return [Turn(text)] if text.strip() else []
    found: list[Turn] = []
    if text[: marks[0].start()].strip():
        found.append(Turn(text[: marks[0].start()]))
    for match, following in zip(marks, [*marks[1:], None], strict=True):
        said = text[match.end() : following.start() if following else len(text)]
        if said.strip():
            who = match["who"]
            found.append(Turn(said, who, role_of(who)))
    return found


_FENCE = re.compile(r"^[ \t]*(```|~~~)", re.MULTILINE)
_RECALLED = re.compile(r"<memory-(?P<word>[0-9a-f]{12})>[\s\S]{0,200000}?</memory-(?P=word)>")
"""What this memory gave out itself, in its fence: what was remembered is not said again by being recalled."""
_TICKS = re.compile(r"`[^`\n]{1,200}`")
_TAGGED = re.compile(
    r"<(?P<tag>[a-zA-Z][\w-]{0,40})(?: [^<>\n]{0,200})?>[^<]{0,20000}</(?P=tag)>|</?[a-zA-Z][\w-]{0,40}(?: [^<>\n]{0,200})?/?>"
)
_QUOTED = re.compile(
    r"“[^”]{1,2000}”|«[^»]{1,2000}»|„[^“”]{1,2000}[“”]|(?<![\w\"])\"[^\"\n]{1,2000}\"(?!\w)|(?<!\w)‘[^’\n]{12,1000}’(?!\w)|(?<![\w'])'(?!\s)[^'\n]{12,1000}'(?!\w)"
)
_LOG = re.compile(
    r"""^\s*(?:
        [\[(]?\d{4}-\d\d-\d\d[T\s]\d\d:\d\d | [\[(]?\d{1,2}:\d\d:\d\d[\s.,\])] | (?:[A-Z][a-z]{2}\s+\d{1,2}\s+)?\d\d:\d\d:\d\d |
        \[?(?:DEBUG|INFO|WARN(?:ING)?|ERROR|FATAL|TRACE|CRITICAL|NOTICE)\b | Traceback\b | File\s" | at\s[\w.$<>]+\( |
        [\w.]*(?:Error|Exception):\s | [$%#❯➜]\s | >>>\s | \.\.\.\s | (?:PS\s)?[A-Z]:\\ | \w+@[\w-]+:.*[$\#]\s |
        [+-]{3}\s | @@\s | diff\s--git | (?:GET|POST|PUT|DELETE|HEAD)\s/ | HTTP/\d | \d{3}\s(?:OK|Not\sFound|Created)\b |
        \|.*\| | [{}\[\]();]+\s*$ | [{\[]".* | //|/\*|\*/|\#include|\#!/ | import\s[\w.{]+ | from\s[\w.]+\simport\s | def\s\w+\( | class\s\w+[(:] |
        (?:const|let|var|function|public|private|static|return|async|await)\s.*[;{(]\s*$ | \w[\w.\[\]'"]*\s*[-+*/|&]?=\s*\S+.* | \w+\(.*\)\s*[;{]?$ |
        (?:SELECT|INSERT|UPDATE|DELETE|CREATE|ALTER|DROP)\s(?:.*\s)?(?:FROM|INTO|SET|TABLE|INDEX)\b
    )""",
    re.VERBOSE,
)  # fmt: skip
_SYMBOL = re.compile(r"[{}<>=;|\\/_#@$%^~\[\]()+*&]")
_REPLY = re.compile(r"^\s*(?:>|\|\s|On .{5,120} wrote:\s*$|-{3,} ?(?:Original|Forwarded))", re.IGNORECASE)
_QUOTE = "“…”"


def prose(text: str) -> str:
    """What of a turn its speaker says in words of their own, line breaks kept; a quotation leaves a mark in its place."""
    text = _without_fences(_RECALLED.sub(" ", text) if "<memory-" in text else text)
    if "<" in text:
        text = _TAGGED.sub(" ", text)
    text = "\n".join(line for line in _lines(text))
    if "`" in text:
        text = _TICKS.sub(lambda found: found[0][1:-1] if re.fullmatch(r"`[\w.-]{1,60}`", found[0]) else " ", text)
    return _QUOTED.sub(lambda found: found[0][1:-1] if _a_name(found[0]) else _QUOTE, text)


def _a_name(quoted: str) -> bool:
    """Whether what stands in quotation marks is a name or a title rather than something said."""
    inside = quoted[1:-1].strip()
    return bool(inside) and len(inside.split()) <= 4 and inside[-1] not in ".!?," and not _SAID.search(inside)


_SAID = re.compile(
    r"\b(?:i|we|you|he|she|they|my|our|your|is|are|always|never|do|don't|please|should|must)\b", re.IGNORECASE
)


def _without_fences(text: str) -> str:
    if "```" not in text and "~~~" not in text:
        return text
    kept: list[str] = []
    at = 0
    inside = False
    for match in _FENCE.finditer(text):
        if not inside:
            kept.append(text[at : match.start()])
        inside = not inside
        at = match.end()
    if not inside:
        # What stands behind the closing fence on its line is prose; an unclosed one takes the rest.
        kept.append(text[at:])
    return "\n".join(kept)


def _lines(text: str) -> Iterator[str]:
    for line in text.split("\n"):
        if not line.strip():
            yield ""
        elif not _REPLY.match(line) and not _LOG.match(line[:2000]) and not _mostly_signs(line):
            yield line


def _mostly_signs(line: str) -> bool:
    short = line[:2000].strip()
    return (len(short) >= 12 and len(_SYMBOL.findall(short)) * 7 > len(short)) or _binary(short)


def _binary(text: str) -> bool:
    odd = sum(
        1
        for char in text
        if char == "\ufffd" or (ord(char) < 32 and char not in "\t\r") or 0xE000 <= ord(char) < 0xF900
    )
    return odd * 10 > len(text)


def speakers(said: Iterable[Turn]) -> set[str]:
    """Those who speak under a name of their own."""
    return {one.speaker for one in said if one.speaker and one.speaker.lower() not in _ROLES}
