"""The text that is measured with: entities as an agent would keep them, the same for the same seed.

Sentences are built from clauses of the words in `vocabulary.txt`, drawn as they are in real text: the n-th most common
about 1/n as often as the first. Rare words (names, numbers, references) are made up: no dictionary knows them.
`found` takes its sentences from documentation strings of installed packages instead: prose that nobody wrote for this.
"""

import ast
import random
import re
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, files
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

__all__ = ["COMMON", "Known", "found", "invented"]

PACKAGES = (
    "pydantic",
    "fastmcp",
    "mcp",
    "cyclopts",
    "anyio",
    "starlette",
    "httpx",
    "rich",
    "psutil",
    "hypothesis",
    "pytest",
    "cryptography",
    "attrs",
    "numpy",
    "docutils",
    "mypy",
)
"""Whose documentation `found` reads. The shipped dictionary knows that of the standard library, and none of these."""


class Known(NamedTuple):
    """An entity to be written."""

    name: str
    type: str
    observations: list[str]

    @property
    def text_bytes(self) -> int:
        """Bytes of all that it says, without any form around it."""
        return sum(len(text.encode()) for text in (self.name, self.type, *self.observations))


class _Ranked:
    """Draws by rank: the n-th item with a weight of 1/n."""

    def __init__(self, items: list[str]) -> None:
        self.items = items
        self._weights = list(accumulate(1 / (rank + 2) for rank in range(len(items))))

    def draw(self, chance: random.Random) -> str:
        return chance.choices(self.items, cum_weights=self._weights)[0]


def _vocabulary() -> dict[str, list[str]]:
    """The lists of `vocabulary.txt` by their names."""
    lists: dict[str, list[str]] = {}
    name = ""
    for line in (Path(__file__).parent / "vocabulary.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            name = line.strip("[]")
            lists[name] = []
        elif line and not line.startswith("#"):
            lists[name] += [item.strip() for item in line.split("|")]
    return lists


_LISTS = _vocabulary()
_NOUNS, _VERBS, _ADJECTIVES = _Ranked(_LISTS["nouns"]), _Ranked(_LISTS["verbs"]), _Ranked(_LISTS["adjectives"])
_PLACES, _TIMES, _REASONS = _Ranked(_LISTS["places"]), _Ranked(_LISTS["times"]), _Ranked(_LISTS["reasons"])
_MANNERS, _OPENERS, _LINKS = _Ranked(_LISTS["manners"]), _Ranked(_LISTS["openers"]), _Ranked(_LISTS["links"])
_TYPES, _GIVEN, _SYLLABLES, _ENDINGS = _LISTS["types"], _LISTS["given"], _LISTS["syllables"], _LISTS["endings"]
_PAST = [verb.split(":")[1] for verb in _VERBS.items]

COMMON = [word for rank in range(40) for word in (_NOUNS.items[rank], _PAST[rank], _ADJECTIVES.items[rank])]
"""Words that many entities say, the most common first: what makes a search long."""


def invented(seed: int, count: int) -> list[Known]:
    """`count` entities of 3 to 5 observations of 60 to 160 characters, in this seed's own small world of names."""
    chance = random.Random(seed)
    people = _Ranked([f"{chance.choice(_GIVEN)} {_surname(chance)}" for _ in range(max(20, count // 10))])
    towns = _Ranked([_surname(chance) for _ in range(max(10, count // 40))])
    return [_entity(chance, people, towns, seed, number) for number in range(count)]


def found(count: int) -> list[Known]:
    """The same, of neighbouring sentences in packages' documentation strings; fewer where they do not suffice."""
    chance = random.Random(3)
    entities: list[Known] = []
    sentences = _documented(PACKAGES)
    while len(entities) < count:
        texts = [text for _, text in zip(range(chance.randint(3, 5)), sentences, strict=False)]
        if len(texts) < 3:
            break
        entities.append(Known(f"{_surname(chance)}-{len(entities)}", chance.choice(_TYPES), texts))
    return entities


def _entity(chance: random.Random, people: _Ranked, towns: _Ranked, seed: int, number: int) -> Known:
    kind = chance.choice(_TYPES)
    name = (
        people.draw(chance)
        if kind == "person"
        else f"{_ADJECTIVES.draw(chance)} {_NOUNS.draw(chance)} {towns.draw(chance)}"
    )
    texts: list[str] = []
    wanted = chance.randint(3, 5)
    while len(texts) < wanted:
        text = _sentence(chance, people, towns)
        if 60 <= len(text) <= 160:
            texts.append(text)
    return Known(f"{name} {seed}.{number}", kind, texts)


def _sentence(chance: random.Random, people: _Ranked, towns: _Ranked) -> str:
    parts = [_clause(chance, people, towns)]
    if chance.random() < 0.45:
        parts.append(f"{_LINKS.draw(chance)} {_clause(chance, people, towns)}")
    if chance.random() < 0.45:
        parts.append(_REASONS.draw(chance))
    text = " ".join(parts) if chance.random() < 0.6 else ", ".join(parts)
    if chance.random() < 0.15:
        return f"{_OPENERS.draw(chance)}: {text}."
    return text[0].upper() + text[1:] + "."


def _clause(chance: random.Random, people: _Ranked, towns: _Ranked) -> str:
    present, past = _VERBS.draw(chance).split(":")
    who = people.draw(chance).split()[0] if chance.random() < 0.5 else _thing(chance)
    what = _thing(chance)
    shape = chance.random()
    if shape < 0.35:
        said = f"{who} {past} {what}"
    elif shape < 0.5:
        said = f"{who} wants to {present} {what}"
    elif shape < 0.65:
        said = f"{what} was {past} by {people.draw(chance)}"
    elif shape < 0.8:
        said = f"{who} {_MANNERS.draw(chance)} {past} {what}"
    else:
        said = (
            f"{what} costs {_number(chance)}"
            if shape < 0.88
            else f"{what} is {_ADJECTIVES.draw(chance)} and {_ADJECTIVES.draw(chance)}"
        )
    more = chance.random()
    if more < 0.25:
        return f"{said} {_TIMES.draw(chance)}"
    if more < 0.5:
        return f"{said} {_PLACES.draw(chance)}"
    if more < 0.6:
        return f"{said} in {towns.draw(chance)}"
    if more < 0.7:
        return f"{said} on {_date(chance)}"
    return f"{said} ({_reference(chance)})" if more < 0.75 else said


def _thing(chance: random.Random) -> str:
    noun = _NOUNS.draw(chance)
    shape = chance.random()
    if shape < 0.4:
        return f"the {noun}"
    if shape < 0.7:
        return f"{chance.choice(('the', 'a', 'their', 'our', 'this'))} {_ADJECTIVES.draw(chance)} {noun}".replace(
            "a o", "an o"
        ).replace("a e", "an e")
    if shape < 0.8:
        return f"{chance.randint(2, 40)} {noun}s"
    return f"the {noun} of the {_NOUNS.draw(chance)}" if shape < 0.9 else f"the {noun} for the {_NOUNS.draw(chance)}"


def _surname(chance: random.Random) -> str:
    return (chance.choice(_SYLLABLES) + chance.choice(_SYLLABLES) + chance.choice(_ENDINGS)).capitalize()


def _number(chance: random.Random) -> str:
    return chance.choice(
        (
            f"{chance.randint(2, 900)} euros",
            f"{chance.uniform(1, 99):.2f} a month",
            f"about {chance.randint(2, 60)} hundred crowns",
        )
    )


def _date(chance: random.Random) -> str:
    day, month, year = chance.randint(1, 28), chance.randint(1, 12), chance.randint(2015, 2027)
    return chance.choice(
        (
            f"{year}-{month:02}-{day:02}",
            f"{day} {('January', 'May', 'June', 'October')[month % 4]} {year}",
            f"{day}/{month}",
        )
    )


def _reference(chance: random.Random) -> str:
    return chance.choice(
        (
            f"no. {chance.randint(100, 99999)}",
            f"ref {chance.getrandbits(28):x}",
            f"page {chance.randint(1, 700)}",
            f"{_surname(chance).lower()}.pdf",
        )
    )


_STRAIGHT = re.compile(r"[A-Z][a-z]+ [A-Za-z0-9 ,;:'()/]+\.(?= |$)")


def _documented(packages: tuple[str, ...]) -> Iterator[str]:
    """Sentences of 60 to 160 characters, each once, in the order of the packages' files."""
    seen: set[str] = set()
    for package in packages:
        try:
            listed = sorted(
                (str(path), path)
                for path in files(package) or []
                if str(path).endswith(".py") and "test" not in str(path)
            )
        except PackageNotFoundError:
            continue
        for _, path in listed:
            try:
                tree = ast.parse(Path(str(path.locate())).read_text("utf-8"))
            except (OSError, SyntaxError, UnicodeDecodeError):
                continue  # a file for another Python, or one that an installer left out
            for node in ast.walk(tree):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                    for text in _STRAIGHT.findall(" ".join((ast.get_docstring(node) or "").split())):
                        if 60 <= len(text) <= 160 and text not in seen:
                            seen.add(text)
                            yield text
