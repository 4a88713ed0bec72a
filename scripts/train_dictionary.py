"""Makes and checks the compression dictionary that ships with the store.

`python scripts/train_dictionary.py --out FILE` trains, `--check` examines the shipped file.
The training text is the phrase bank beside this file, which was written for it, and the
documentation strings of the Python standard library. That second part follows the interpreter's
version, so the committed file is the reference and a rebuild may differ from it.
"""

# zstandard describes some of its types only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false

from __future__ import annotations

import argparse
import ast
import importlib.metadata
import json
import os
import random
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard

from enhanced_memory.daemon.store.bodies import BUILT_IN, DICTIONARY_BYTES, Codec, Noted, State, crc, encoded

SHIPPED = Path(__file__).resolve().parent.parent / "daemon" / "store" / "dictionary.zdict"
PHRASES = Path(__file__).resolve().with_name("dictionary_phrases.txt")
# What the trainer assumes when it counts; the store packs as `Codec` does.
LEVEL = 12
CHECK_PER_CENT = 62.0
# Segment and match length of the trainer: segments of 40 to 100 were tried and differ by 0.4 points.
COVER = {"k": 64, "d": 8}
# One frame in so many is kept out of the training text; the next one along tunes the tables.
HELD_OUT = 16

Entity = tuple[str, str, list[str]]


def main() -> int:
    """Trains or checks as asked; the exit status is 1 when the shipped file fails its check."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--out", type=Path, default=SHIPPED, help="where the dictionary goes")
    options.add_argument("--size", type=int, default=DICTIONARY_BYTES, help="largest size in bytes")
    options.add_argument("--check", action="store_true", help="examine the file, train nothing")
    options.add_argument("--texts", type=Path, nargs="*", default=[], help="measure on these too, one per line")
    chosen = options.parse_args()
    if chosen.check:
        return check(chosen.out)
    trained = train(chosen.size)
    chosen.out.write_bytes(trained)
    print(f"{chosen.out}: {len(trained)} bytes")
    report(trained, held_out_sets(chosen.texts))
    return 0


def check(path: Path) -> int:
    """Says whether the file loads, is small enough and still saves what it must."""
    found = path.read_bytes()
    saved = saving(found, held_out_entities())[0]
    print(f"{path.name}: {len(found)} bytes, saves {saved:.1f} % on held-out sentences")
    faults: list[str] = []
    if zstandard.ZstdCompressionDict(found).dict_id() == 0:
        faults.append("it is not a trained dictionary: it has no tables of its own")
    if len(found) > DICTIONARY_BYTES:
        faults.append(f"it is larger than {DICTIONARY_BYTES} bytes")
    if saved < CHECK_PER_CENT:
        faults.append(f"it saves less than {CHECK_PER_CENT} %")
    for fault in faults:
        print(f"fault: {fault}", file=sys.stderr)
    return 1 if faults else 0


def train(size: int) -> bytes:
    """A dictionary of at most `size` bytes; the same bytes from the same interpreter."""
    chance = random.Random(5)
    frames = Frames()
    documented = list(library_sentences(tuning=False))
    samples = [body(invented(frames.training, chance), chance) for _ in range(6000)]
    samples += [body(neighbours(documented, chance), chance) for _ in range(4000)]
    # Words and collocations are given as they stand and often, so that the trainer takes them whole.
    samples += [piece.encode() for text in BANK["phrases"].values() for piece in runs(text)] * 15
    chance.shuffle(samples)
    trained = zstandard.train_dictionary(size, list(samples), level=LEVEL, **COVER).as_bytes()
    # The trainer counts symbols on the text it chose from, where nearly everything matches. Text
    # outside the bank has more literals and shorter matches, so the tables are counted on such.
    documented = list(library_sentences(tuning=True))
    unseen = [body(neighbours(documented, chance), chance) for _ in range(2500)]
    unseen += [body(invented(frames.tuning, chance), chance) for _ in range(800)]
    return with_tables(trained, unseen, size)


def with_tables(trained: bytes, samples: list[bytes], size: int) -> bytes:
    """The same content with entropy tables counted on `samples`."""
    # zstandard has no public name for this step of libzstd, hence the untyped door.
    from zstandard import _cffi  # type: ignore[attr-defined]

    ffi: Any = _cffi.ffi  # pyright: ignore
    lib: Any = _cffi.lib  # pyright: ignore
    content = trained[lib.ZDICT_getDictHeaderSize(trained, len(trained)) :]
    made: Any = ffi.new("char[]", size)
    params: Any = ffi.new("ZDICT_params_t *")[0]
    params.compressionLevel = LEVEL
    lengths: Any = ffi.new("size_t[]", [len(sample) for sample in samples])
    joined = b"".join(samples)
    written: int = lib.ZDICT_finalizeDictionary(
        made, size, content, len(content), joined, lengths, len(samples), params
    )
    if lib.ZDICT_isError(written):
        raise SystemExit(f"libzstd refused the tables: {ffi.string(lib.ZDICT_getErrorName(written)).decode()}")
    return bytes(ffi.buffer(made, written))


# Measuring


def report(trained: bytes, sets: dict[str, list[Entity]]) -> None:
    """Prints the saving against JSON and the time per body for each set."""
    for name, entities in sets.items():
        saved, packing, unpacking = saving(trained, entities)
        print(f"{name:24} {saved:5.1f} %  {packing:5.1f} / {unpacking:4.1f} us")


def saving(trained: bytes, entities: list[Entity]) -> tuple[float, float, float]:
    """Per cent saved against JSON, microseconds to compress and to decompress a body, as the store does it."""
    chance = random.Random(9)
    codec = Codec({BUILT_IN: trained})
    plain = [body(entity, chance) for entity in entities]
    sums = [crc(one) for one in plain]
    started = time.perf_counter()
    packed = [codec.squeeze(one) for one in plain]
    turned = time.perf_counter()
    unpacked = [codec.plain(one, known) for one, known in zip(packed, sums, strict=True)]
    ended = time.perf_counter()
    if unpacked != plain:
        raise SystemExit("a body did not survive compression")
    share = sum(map(len, packed)) / sum(len(as_json(entity)) for entity in entities)
    each = 1e6 / len(entities)
    return 100 * (1 - share), (turned - started) * each, (ended - turned) * each


def held_out_sets(texts: list[Path]) -> dict[str, list[Entity]]:
    """What no part of the training saw: own frames, package descriptions, the caller's files."""
    chance = random.Random(21)
    sets = {"held-out frames": held_out_entities()}
    found = list(package_sentences())
    if len(found) > 50:
        sets["package descriptions"] = [neighbours(found, chance) for _ in range(600)]
    for path in texts:
        lines = [line for line in path.read_text().splitlines() if 60 <= len(line) <= 160]
        sets[path.stem] = [neighbours(lines, chance) for _ in range(600)]
    return sets


def held_out_entities() -> list[Entity]:
    """600 entities from the frames that training and tuning left out."""
    chance = random.Random(17)
    frames = Frames()
    return [invented(frames.held_out, chance) for _ in range(600)]


def body(entity: Entity, chance: random.Random) -> bytes:
    """The body as the store encodes it, with a change number as large as any."""
    name, kind, observations = entity
    change = chance.randrange(1, 10_000_000)
    noted = [Noted(number, change, text) for number, text in enumerate(observations, 1)]
    return encoded(State(name, kind, noted, next_id=len(noted) + 1))


def as_json(entity: Entity) -> bytes:
    """The text that the saving is measured against."""
    name, kind, observations = entity
    shape = {"name": name, "entityType": kind, "observations": observations}
    return json.dumps(shape, separators=(",", ":"), ensure_ascii=False).encode()


# Text


class Frames:
    """The sentence frames of the bank by domain, in three disjoint parts."""

    def __init__(self) -> None:
        self.training: list[list[str]] = []
        self.tuning: list[list[str]] = []
        self.held_out: list[list[str]] = []
        for domain in BANK["frames"].values():
            frames = sentences(domain)
            self.held_out.append(frames[::HELD_OUT])
            self.tuning.append(frames[1::HELD_OUT])
            self.training.append([one for at, one in enumerate(frames) if at % HELD_OUT > 1])
        # Too few to draw three from one domain, so these two are one domain each.
        self.tuning = [[one for domain in self.tuning for one in domain]]
        self.held_out = [[one for domain in self.held_out for one in domain]]


def invented(domains: list[list[str]], chance: random.Random) -> Entity:
    """An entity of three to five filled frames, mostly from one domain."""
    count = chance.randint(3, 5)
    sizes = [len(domain) for domain in domains]
    one = chance.choices(domains, sizes)[0]
    if chance.random() < 0.6:
        frames = chance.sample(one, count)
    else:
        frames = [chance.choice(chance.choices(domains, sizes)[0]) for _ in range(count)]
    name = filled(chance.choice(NAMES), chance)
    return name, chance.choice(WORDS["kind"]), [filled(frame, chance) for frame in frames]


def neighbours(lines: list[str], chance: random.Random) -> Entity:
    """An entity of three to five lines that follow each other."""
    at = chance.randrange(len(lines) - 5)
    name = filled(chance.choice(NAMES), chance)
    return name, chance.choice(WORDS["kind"]), lines[at : at + chance.randint(3, 5)]


def filled(frame: str, chance: random.Random) -> str:
    """The frame with a word or figure in each of its slots."""

    def word(slot: re.Match[str]) -> str:
        name = slot[1]
        if name in WORDS:
            return filled(chance.choice(WORDS[name]), chance)
        return figure(name, chance) or slot[0]

    return re.sub(r"\{(\w+)\}", word, frame)


def figure(name: str, chance: random.Random) -> str:
    """A number, date or code of the named sort; empty when there is no such sort."""
    n = chance.randint
    match name:
        case "year":
            return str(n(1985, 2029))
        case "num":
            return str(n(2, 99))
        case "small":
            return str(n(2, 20))
        case "day_no":
            return str(n(1, 28))
        case "isodate":
            return f"20{n(18, 29)}-{n(1, 12):02}-{n(1, 28):02}"
        case "time":
            return f"{n(6, 22):02}:{chance.choice(['00', '15', '30', '45'])}"
        case "ver":
            return f"{n(0, 9)}.{n(0, 20)}.{n(0, 9)}"
        case "code":
            letters = "".join(chance.choices("ABCDEFGHJKLMNPQRSTUVWXYZ", k=2))
            return chance.choice(
                [f"{letters}-{n(1000, 99999)}", str(n(10000, 999999)), f"20{n(20, 29)}-{n(100, 9999):04}"]
            )
        case "hash":
            return f"{chance.getrandbits(28):07x}"
        case _:
            return ""


def library_sentences(tuning: bool) -> Iterator[str]:
    """Sentences of the standard library's documentation strings; every fourth module is for tuning."""
    top = Path(os.__file__).parent
    skipped = {"site-packages", "test", "tests", "idle_test", "ensurepip"}
    modules = sorted(path for path in top.rglob("*.py") if not skipped & set(path.relative_to(top).parts))
    for at, path in enumerate(modules):
        if (at % 4 == 0) is not tuning:
            continue
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, UnicodeDecodeError):
            continue  # Some modules are broken on purpose, as material for other tools.
        if path.name == "topics.py":
            yield from prose("\n\n".join(strings(tree)))
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
                yield from prose(ast.get_docstring(node) or "")


def strings(tree: ast.Module) -> list[str]:
    """Every string constant of a module."""
    found = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    return [value for value in found if isinstance(value, str)]


def package_sentences() -> Iterator[str]:
    """Sentences from the descriptions of the packages installed here: foreign text to measure on."""
    for package in sorted(importlib.metadata.distributions(), key=lambda one: str(one.name)):
        _, _, text = (package.read_text("METADATA") or "").partition("\n\n")
        yield from prose(re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def prose(text: str) -> Iterator[str]:
    """The sentences of 60 to 160 characters that are words rather than code."""
    for paragraph in re.split(r"\n\s*\n|\n[-*] ", text):
        for sentence in re.split(r"(?<=[.!?;:])\s+", " ".join(paragraph.split())):
            line = sentence
            while len(line) > 160 and (cut := line.rfind(" ", 60, 160)) > 0:
                yield from wordy(line[:cut])
                line = line[cut + 1 :]
            yield from wordy(line)


def wordy(line: str) -> Iterator[str]:
    """The line itself if it is of use."""
    if 60 <= len(line) <= 160 and "://" not in line and sum(c.isalpha() or c == " " for c in line) > 0.75 * len(line):
        yield line


def sentences(text: str) -> list[str]:
    """The frames of a domain; short ones are joined to the next."""
    found: list[str] = []
    for one in re.split(r"(?<=[.!?])\s+", " ".join(text.split())):
        if found and len(found[-1]) < 50:
            found[-1] += " " + one
        else:
            found.append(one)
    return found


def runs(text: str) -> list[str]:
    """The text in pieces of about 200 characters, cut between words."""
    found: list[str] = [" "]
    for word in text.split():
        if len(found[-1]) > 200:
            found.append(" ")
        found[-1] += word + " "
    return found


def bank() -> dict[str, dict[str, str]]:
    """The phrase bank: text by name within each sort of section. A section opens with `[sort: name]`."""
    found: dict[str, dict[str, str]] = {"frames": {}, "phrases": {}, "list": {}}
    for section in re.split(r"^\[", PHRASES.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title, _, content = section.partition("]\n")
        sort, _, name = title.partition(": ")
        found[sort][name] = " ".join(content.split())
    return found


BANK = bank()
WORDS = {name: words.split(", ") for name, words in BANK["list"].items()}
NAMES = (
    "{slug}",
    "{slug}-{small}",
    "{person}",
    "{first}_{last}",
    "{company}",
    "default_user",
    "User preferences",
)

if __name__ == "__main__":
    sys.exit(main())
