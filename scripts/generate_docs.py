#!/usr/bin/env python3
"""Writes the parts of the documentation that follow from the code, between their markers.

`python scripts/generate_docs.py` writes them anew; `--check` writes nothing and exits with 1 where a page is stale.
A part stands between `<!-- generated: NAME -->` and `<!-- end -->`; PARTS below says which there are. What stands
outside the markers is written by hand and left alone.
"""

import argparse
import ast
import inspect
import re
import sys
import textwrap
import types
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import fields as dataclass_fields
from datetime import datetime
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from enhanced_memory.client import errors, values
from enhanced_memory.client.cli.commandline import every_name, find_verb
from enhanced_memory.client.cli.configuration import config
from enhanced_memory.client.cli.declare import Call
from enhanced_memory.client.cli.exits import MEANINGS
from enhanced_memory.client.operations import Operations
from enhanced_memory.client.request import Change, Request, answer_type, method
from enhanced_memory.client.settings import Settings
from enhanced_memory.daemon import ROOT
from enhanced_memory.daemon.kinds import DEFAULT, KINDS, Kind
from enhanced_memory.daemon.properties import Property
from enhanced_memory.mcp_server.profiles import CORE

MARKED = re.compile(r"(<!-- generated: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
TABLE = re.compile(r"^CREATE (VIRTUAL )?TABLE (\w+)[^(]*\((.*?)^\)", re.DOTALL | re.MULTILINE)
NAMED: dict[str, Any] = {name: getattr(values, name) for name in ("Ref", "Scalar", "Tier", "Trust", "Action")}
"""Types that are written by their name wherever they stand."""
PLAIN: dict[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    datetime: "time",
    Any: "anything",
}


def main() -> int:
    """Write or check every page; 1 where `--check` finds a stale one."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where a page is stale")
    chosen = parser.parse_args()
    stale = [page for page in pages() if renewed(page) != page.read_text("utf-8")]
    for page in stale:
        print(f"{'stale' if chosen.check else 'written'}: {page.relative_to(ROOT)}")
        if not chosen.check:
            page.write_text(renewed(page), "utf-8")
    return 1 if stale and chosen.check else 0


def pages() -> list[Path]:
    """Every page that may hold generated parts."""
    return [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]


def renewed(page: Path) -> str:
    """The text of `page` with its generated parts made anew. `KeyError` for a part that nobody makes."""
    return MARKED.sub(lambda found: f"{found[1]}\n{PARTS[found[2]]().strip()}\n\n{found[3]}", page.read_text("utf-8"))


# Operations


def operations() -> str:
    """Every operation, chapter by chapter, and behind them the values that they are made of."""
    requests: list[Any] = [one.request for one in vars(Operations).values() if isinstance(one, method)]
    answers = Counter(answer_type(request) for request in requests)
    chapter = ""
    lines: list[str] = []
    used: list[Any] = []
    for request in requests:
        if request.__module__ != chapter:
            chapter = request.__module__
            lines += [f"## {chapter.rpartition('.')[2].capitalize()}", "", prose(import_module(chapter)), ""]
        shared = answers[answer_type(request)] > 1 or answer_type(request).__module__ == values.__name__
        lines += [*operation(request, shared, used), ""]
    lines += ["## Values", "", "What parameters and answers are made of.", ""]
    for kind in sorted(closed(used), key=lambda one: one.__name__):
        lines += [f"### {kind.__name__}", "", prose(kind), "", *table(kind, [], "field"), ""]
    return "\n".join(lines)


def operation(request: type[Request[Any]], shared: bool, used: list[Any]) -> Iterator[str]:
    """The manual entry of one operation; an answer that others give too (`shared`) has an entry of its own."""
    sort = "Change: answered once it is on disk." if issubclass(request, Change) else "Question: changes nothing."
    yield from (f"### {request.op}", "", f"*{sort}*", "", prose(request), "")
    taken = table(request, used, "parameter")
    yield from [*taken, ""] if taken else ["Takes nothing.", ""]
    answer = answer_type(request)
    if shared:
        yield f"Answers {said(answer, used)}."
    else:
        yield from (f"Answers `{answer.__name__}`: {prose(answer)}", "", *table(answer, used, "field"))


def closed(kinds: list[Any]) -> list[Any]:
    """The kinds and whatever they hold, each once."""
    found = list(dict.fromkeys(kinds))
    for kind in found:
        inner: list[Any] = []
        table(kind, inner, "")
        found += [one for one in dict.fromkeys(inner) if one not in found]
    return found


def table(kind: Any, used: list[Any], what: str) -> list[str]:
    """A row for each field of a struct; the structs in it go into `used`."""
    notes = field_notes(kind)
    rows = [
        (f"`{field.encode_name}`", said(field.type, used), default(field), notes.get(field.name, ""))
        for field in msgspec.structs.fields(kind)
    ]
    return grid((what, "type", "default", "note"), rows)


def grid(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    """A Markdown table; columns that hold nothing are left out."""
    kept = [place for place in range(len(heads)) if any(row[place] for row in rows)]
    if not rows:
        return []
    lines = [
        [heads[place] for place in kept],
        ["---"] * len(kept),
        *([cell(row[place]) for place in kept] for row in rows),
    ]
    return [f"| {' | '.join(line)} |" for line in lines]


def cell(text: str) -> str:
    """Text as it may stand in a table."""
    return " ".join(text.split()).replace("|", "\\|")


def default(field: Any) -> str:
    """A field's default in words."""
    if field.required:
        return "required"
    if field.default_factory is not msgspec.NODEFAULT:
        return f"`{msgspec.json.encode(field.default_factory()).decode()}`"
    return "not given" if field.default is msgspec.UNSET else f"`{msgspec.json.encode(field.default).decode()}`"


def said(kind: Any, used: list[Any]) -> str:
    """A type in words, with a link where it has an entry of its own."""
    for name, named in NAMED.items():
        if kind == named:
            return f"[{name}](#{name.lower()})"
    if get_origin(kind) is Annotated:
        base, *metas = get_args(kind)
        return said(base, used) + "".join(bounds(base, meta) for meta in metas)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        used.append(kind)
        return f"[{kind.__name__}](#{kind.__name__.lower()})"
    if get_origin(kind) is Literal:
        return alternatives([f"`{value}`" for value in get_args(kind)])
    if get_origin(kind) is list:
        return f"list of {said(get_args(kind)[0], used)}"
    if get_origin(kind) is dict:
        return f"map to {said(get_args(kind)[1], used)}"
    if get_origin(kind) in (Union, types.UnionType):
        return union(kind, used)
    return PLAIN[kind]


def union(kind: Any, used: list[Any]) -> str:
    """Several types in words."""
    parts = [part for part in get_args(kind) if part not in (type(None), msgspec.UnsetType)]
    for name, named in NAMED.items():
        if set(parts) == set(get_args(named)) and get_origin(named) is not Literal:
            told = [f"[{name}](#{name.lower()})"]
            break
    else:
        told = [said(part, used) for part in parts]
    return alternatives([*told, "null"] if type(None) in get_args(kind) else told)


def alternatives(words: list[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    return " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def bounds(base: Any, meta: msgspec.Meta) -> str:
    """The bounds of a type in words."""
    unit = " items" if get_origin(base) is list else " characters" if base is str else ""
    low = meta.ge if meta.ge is not None else meta.min_length
    high = meta.le if meta.le is not None else meta.max_length
    if low is None and high is None:
        return ""
    if low is None or high is None:
        return f" (at least {number(low)}{unit})" if low is not None else f" (at most {number(high or 0)}{unit})"
    return f" ({number(low)} to {number(high)}{unit})"


def number(value: float) -> str:
    """A bound as people write it."""
    power = abs(int(value)).bit_length() - 1
    return f"{'−' if value < 0 else ''}2^{power}" if power > 40 and abs(value) == 1 << power else f"{value:,}"


def enumerations() -> str:
    """The types that are written by their name."""
    lines: list[str] = []
    notes = strings_below(ast.parse(inspect.getsource(values)).body)
    for name, kind in NAMED.items():
        literal = get_origin(kind) is Literal
        told = alternatives([f"`{one}`" if literal else PLAIN[one] for one in get_args(kind)])
        lines += [f"### {name}", "", f"{told if literal else told.capitalize()}. {notes.get(name, '')}".strip(), ""]
    return "\n".join(lines)


# What the source says of itself


def prose(thing: Any) -> str:
    """A docstring as paragraphs."""
    return inspect.cleandoc(thing.__doc__ or "")


def field_notes(kind: Any) -> dict[str, str]:
    """What stands below each field of a class, as a string of its own, or in the field's description."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    notes = {
        field.name: meta.description
        for field in msgspec.structs.fields(kind)
        if get_origin(field.type) is Annotated
        for meta in get_args(field.type)[1:]
        if meta.description
    }
    return notes | strings_below(tree.body if isinstance(tree, ast.ClassDef) else [])


def strings_below(body: list[ast.stmt]) -> dict[str, str]:
    """Each assigned name with the string that follows it."""
    found: dict[str, str] = {}
    for one, following in pairwise(body):
        match one, following:
            case (
                ast.AnnAssign(target=ast.Name(name)) | ast.Assign(targets=[ast.Name(name)]),
                ast.Expr(ast.Constant(str(says))),
            ):
                found[name] = inspect.cleandoc(says)
            case _:
                pass
    return found


# Errors, settings, kinds, tables, the command line, the tools


def error_codes() -> str:
    """The tree of errors as a table."""

    def rows(kind: type[errors.Error], depth: int) -> Iterator[tuple[str, ...]]:
        yield (f"{'— ' * depth}`{kind.code}`", f"`{kind.__name__}`", prose(kind), kind.hint)
        for below in kind.__subclasses__():
            yield from rows(below, depth + 1)

    return "\n".join(grid(("code", "class", "what it says", "usual hint"), list(rows(errors.Error, 0))))


def settings() -> str:
    """Every setting."""
    rows = [
        (
            f"`{one.name}`",
            PLAIN[type(one.default)],
            f"`{msgspec.json.encode(one.default).decode()}`",
            one.metadata["help"],
        )
        for one in dataclass_fields(Settings)
    ]
    return "\n".join(grid(("setting", "type", "default", "what it is"), rows))


def example_config() -> str:
    """The settings file that `memoryctl config --toml` prints."""
    return f"```toml\n{config(Call(Namespace(toml=True))).value['toml'].strip()}\n```"


def kinds() -> str:
    """The rows of `daemon/kinds.py`."""

    def row(name: str, kind: Kind) -> tuple[str, ...]:
        searched = "every text" if kind.text is None else ", ".join(f"`{one}`" for one in kind.text) or "none"
        filtered = "every one" if kind.indexed is None else ", ".join(f"`{one}`" for one in kind.indexed) or "none"
        expiry = "never" if kind.expires_after_s is None else f"after {kind.expires_after_s:,.0f} s"
        return (name, searched, filtered, kind.tier, kind.scope, expiry, str(kind.versions or "all"))

    heads = (
        "kind",
        "properties searched",
        "properties filtered by",
        "tier",
        "name unique in",
        "expires",
        "versions kept",
    )
    rows = [*(row(f"`{name}`", kind) for name, kind in KINDS.items()), row("any other type", DEFAULT)]
    return "\n".join([*grid(heads, rows), "", *held()])


def held() -> list[str]:
    """What the properties of kinds hold."""

    def bounds(one: Property) -> str:
        said = [f"at least {one.at_least:g}"] if one.at_least is not None else []
        said += [f"at most {one.at_most:g}"] if one.at_most is not None else []
        said += [f"{one.chars} characters at most"] if one.chars is not None else []
        return ", ".join([*said, *(f"`{choice}`" for choice in one.choices)])

    return grid(
        ("kind", "property", "holds", "bounds", "unless given"),
        [
            (f"`{kind}`", f"`{name}`", one.holds, bounds(one), "" if one.default is None else f"`{one.default}`")
            for kind, row in KINDS.items()
            for name, one in row.holds.items()
        ],
    )


def tables() -> str:
    """The tables of `schema.sql` with the comment above each, and its columns."""
    rows: list[tuple[str, ...]] = []
    for block in (ROOT / "schema.sql").read_text("utf-8").split("\n\n"):
        above = block.partition("CREATE")[0]
        comment = " ".join(line.removeprefix("--").strip() for line in above.splitlines() if line.startswith("--"))
        for virtual, name, body in TABLE.findall(block):
            columns = re.findall(r"\b([a-z]+)," if virtual else r"^ +([a-z_0-9]+)\b", body, re.MULTILINE)
            rows.append((f"`{name}`", comment, ", ".join(f"`{column}`" for column in columns)))
    return "\n".join(grid(("table", "what a row is", "columns"), rows))


def verbs() -> str:
    """The verbs of `memoryctl`."""
    found = [(name, find_verb(name)) for name in every_name()]
    return "\n".join(grid(("verb", "what it does"), [(f"`{name}`", verb.says) for name, verb in found if verb]))


def exit_codes() -> str:
    """The exit codes of `memoryctl`."""
    return "\n".join(grid(("code", "meaning"), [(str(code), meaning) for code, meaning in MEANINGS.items()]))


def tools() -> str:
    """The tools that the MCP server shows."""
    return "\n".join(
        grid(("tool", "what the model is told"), [(f"`{tool.name}`", tool.description) for tool in CORE.tools])
    )


PARTS: dict[str, Callable[[], str]] = {
    "operations": operations,
    "enumerations": enumerations,
    "error-codes": error_codes,
    "settings": settings,
    "example-config": example_config,
    "kinds": kinds,
    "tables": tables,
    "verbs": verbs,
    "exit-codes": exit_codes,
    "tools": tools,
}

if __name__ == "__main__":
    sys.exit(main())
