"""Who may import whom, read from the source: client ← daemon, client ← mcp_server, and nothing the other way.

Each rule is a function from modules to complaints, so that the same rule is tried on planted mistakes: a rule that
cannot find its mistake is no rule.
"""

import ast
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = "enhanced_memory"
LAYERS = ("client", "daemon", "mcp_server")
MAX_LINES = 420
ENGINE = f"{PACKAGE}.daemon.store.sqlite"
ENGINES = (ENGINE, f"{PACKAGE}.daemon.store.postgres")
DRIVERS = ("apsw", "sqlite3", "sqlite_vec", "psycopg")
STORE_WORDS = re.compile(r"\b(sqlite|apsw|fts5|vec0)\b|\bselect\b.*\bfrom\b", re.IGNORECASE)

# module prefix → what no module below it may import, at any depth of the code
FORBIDDEN = {
    "client": (f"{PACKAGE}.daemon", f"{PACKAGE}.mcp_server", "fastmcp", "mcp", "apsw", "numpy", "torch"),
    "daemon": (
        f"{PACKAGE}.mcp_server",
        f"{PACKAGE}.client.sync",
        f"{PACKAGE}.client.aio",
        f"{PACKAGE}.client.cli",
        "fastmcp",
        "mcp",
        "torch",
    ),
    "mcp_server": (f"{PACKAGE}.daemon", "apsw"),
    "daemon.handlers": ENGINES,
    "daemon.store.sqlite": (f"{PACKAGE}.daemon.handlers",),
}


@dataclass(frozen=True)
class Import:
    """One imported name: where it stands, what it is, and whether it happens when the module is loaded."""

    line: int
    name: str
    at_load: bool
    relative: bool = False


@dataclass(frozen=True)
class Module:
    """One file of the package, by its dotted name below it (`client.wire`)."""

    name: str
    text: str
    imports: tuple[Import, ...]

    def inside(self, prefix: str) -> bool:
        """Whether the module is `prefix` or lies below it."""
        return below(self.name, prefix)


def below(name: str, prefix: str) -> bool:
    return name == prefix or name.startswith(prefix + ".")


def read(root: Path) -> list[Module]:
    """Every module of the three layers."""
    modules: list[Module] = []
    for layer in LAYERS:
        for path in sorted((root / layer).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            text = path.read_text()
            modules.append(Module(name, text, tuple(imports(ast.parse(text, str(path))))))
    return modules


def imports(node: ast.AST, *, at_load: bool = True) -> Iterator[Import]:
    """Everything that is imported below `node`; also under TYPE_CHECKING, for a checker follows that."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Import(names=names):
                for alias in names:
                    yield Import(child.lineno, alias.name, at_load)
            case ast.ImportFrom(module=module, names=names, level=level):
                for alias in names:
                    name = f"{module}.{alias.name}" if module else alias.name
                    yield Import(child.lineno, name, at_load, relative=level > 0)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                yield from imports(child, at_load=False)
            case _:
                yield from imports(child, at_load=at_load)


def crossings(modules: list[Module]) -> list[str]:
    """A layer imports what it may not."""
    return [
        f"{module.name}:{found.line} imports {found.name}"
        for prefix, names in FORBIDDEN.items()
        for module in modules
        if module.inside(prefix)
        for found in module.imports
        if any(below(found.name, name) for name in names)
    ]


def rich_outside_the_command_line(modules: list[Module]) -> list[str]:
    """The client is light: only memoryctl draws."""
    return [
        f"{module.name}:{found.line} imports {found.name}"
        for module in modules
        if module.inside("client") and not module.inside("client.cli")
        for found in module.imports
        if below(found.name, "rich")
    ]


def adapters_not_at_the_edge(modules: list[Module]) -> list[str]:
    """Adapters stand on the client; nothing stands on them but memoryctl."""
    return [
        f"{module.name}:{found.line} imports {found.name}"
        for module in modules
        if not module.inside("client.adapters") and not module.inside("client.cli")
        for found in module.imports
        if below(found.name, f"{PACKAGE}.client.adapters")
    ]


COMMAND_LINE = (
    "daemon.__main__",
    "daemon.commands",
    "daemon.databases",
    "daemon.drill",
    "daemon.migrating",
    "daemon.probing",
)
"""What is started for a store, or for a file of a kind that is named."""


def engines_named(modules: list[Module]) -> list[str]:
    """Which engine it is, only the daemon's command line and the engine itself know; a driver, only the engine."""
    complaints: list[str] = []
    for module in modules:
        if module.inside("daemon.store.sqlite") or module.inside("daemon.store.postgres"):
            continue
        barred = DRIVERS if module.name in COMMAND_LINE else (*ENGINES, *DRIVERS)
        complaints += [
            f"{module.name}:{found.line} imports {found.name}"
            for found in module.imports
            if any(below(found.name, name) for name in barred)
        ]
    return complaints


def store_words_in_handlers(modules: list[Module]) -> list[str]:
    """A handler says what happens and not how it is stored."""
    return [
        f"{module.name}:{number} {line.strip()}"
        for module in modules
        if module.inside("daemon.handlers")
        for number, line in enumerate(module.text.splitlines(), 1)
        if STORE_WORDS.search(line)
    ]


def not_absolute(modules: list[Module]) -> list[str]:
    """Relative, or by a name that works only where the tree is on sys.path."""
    return [
        f"{module.name}:{found.line} imports {'.' if found.relative else ''}{found.name}"
        for module in modules
        for found in module.imports
        if found.relative or found.name.split(".")[0] in (*LAYERS, "systemd")
    ]


def too_long(modules: list[Module]) -> list[str]:
    """A file that long has a second subject."""
    lengths = {module.name: len(module.text.splitlines()) for module in modules}
    return [f"{name} has {lines} lines" for name, lines in lengths.items() if lines > MAX_LINES]


def cycles(modules: list[Module]) -> list[str]:
    """Modules that need each other to be loaded; one is named at a time."""
    names = {f"{PACKAGE}.{module.name}" for module in modules}
    graph: dict[str, set[str]] = {}
    for module in modules:
        own = f"{PACKAGE}.{module.name}"
        targets = (owner(found.name, names) for found in module.imports if found.at_load and not found.relative)
        graph[own] = {target for target in targets if target and target != own}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as cycle:
        return [" → ".join(reversed(cycle.args[1]))]
    return []


def owner(name: str, names: set[str]) -> str | None:
    """The module that an imported name belongs to: itself, or the one it is taken from."""
    if name in names:
        return name
    parent = name.rpartition(".")[0]
    return parent if parent in names else None


RULES: tuple[Callable[[list[Module]], list[str]], ...] = (
    crossings,
    rich_outside_the_command_line,
    adapters_not_at_the_edge,
    engines_named,
    store_words_in_handlers,
    not_absolute,
    too_long,
    cycles,
)

# rule, file, what is written there
MISTAKES = [
    (crossings, "client/sync.py", "from enhanced_memory.daemon import server"),
    (crossings, "client/values.py", "def late():\n    import numpy as np"),
    (crossings, "daemon/server.py", "from enhanced_memory.client import sync"),
    (crossings, "daemon/server.py", "import fastmcp.server"),
    (crossings, "mcp_server/host.py", "import enhanced_memory.daemon.kinds"),
    (crossings, "daemon/handlers/search.py", "from enhanced_memory.daemon.store.sqlite.tx import Tx"),
    (rich_outside_the_command_line, "client/aio.py", "from rich.progress import Progress"),
    (adapters_not_at_the_edge, "client/sync.py", "from enhanced_memory.client.adapters import chronicle"),
    (adapters_not_at_the_edge, "mcp_server/host.py", "import enhanced_memory.client.adapters.tinyworld"),
    (crossings, "client/adapters/chronicle.py", "from enhanced_memory.daemon.kinds import KINDS"),
    (engines_named, "daemon/backup.py", "from enhanced_memory.daemon.store import sqlite"),
    (engines_named, "daemon/ranking.py", "import apsw"),
    (store_words_in_handlers, "daemon/handlers/search.py", "# asks FTS5 first"),
    (store_words_in_handlers, "daemon/handlers/search.py", "WORDS = 'SELECT id FROM entity'"),
    (not_absolute, "client/sync.py", "from . import wire"),
    (not_absolute, "daemon/server.py", "from client.wire import Frames"),
    (too_long, "daemon/server.py", "x = 1\n" * (MAX_LINES + 1)),
    (cycles, "client/wire.py", "from enhanced_memory.client.values import Entity"),
]


@cache
def tree() -> list[Module]:
    return read(ROOT)


def test_there_is_a_tree_to_read() -> None:
    """A rule that reads nothing finds nothing."""
    assert {module.name.split(".")[0] for module in tree()} == set(LAYERS)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_tree_keeps_the_rule(rule: Callable[[list[Module]], list[str]]) -> None:
    assert rule(tree()) == [], rule.__doc__


@pytest.mark.parametrize(
    ("rule", "path", "text"), MISTAKES, ids=[f"{rule.__name__}-{number}" for number, (rule, *_) in enumerate(MISTAKES)]
)
def test_the_rule_sees_the_mistake(
    rule: Callable[[list[Module]], list[str]], path: str, text: str, tmp_path: Path
) -> None:
    (tmp_path / "client").mkdir()
    (tmp_path / "client" / "values.py").write_text("from enhanced_memory.client import wire\n")
    (tmp_path / "client" / "wire.py").write_text("import struct\n")
    assert rule(read(tmp_path)) == []
    (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / path).write_text(text + "\n")
    assert len(rule(read(tmp_path))) == 1


# What is really loaded: a rule about single files does not see what comes along with an import.
LOADED = [
    ("enhanced_memory.client", ("apsw", "fastmcp", "mcp", "numpy", "pydantic", "rich", "enhanced_memory.daemon")),
    ("enhanced_memory.daemon.server, enhanced_memory.daemon.store.sqlite.engine", ("numpy", "psycopg", "sqlite_vec")),
    (
        "enhanced_memory.daemon.__main__",
        ("fastmcp", "mcp", "psycopg", "pydantic", "torch", "enhanced_memory.mcp_server"),
    ),
]


@pytest.mark.parametrize(("module", "heavy"), LOADED, ids=[module for module, _ in LOADED])
def test_loading_it_brings_in_nothing_heavy(module: str, heavy: tuple[str, ...]) -> None:
    program = f"import sys, {module}; print(*(name for name in {heavy!r} if name in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.stdout.strip(), ran.returncode) == ("", 0), ran.stderr
