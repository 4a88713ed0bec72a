"""`memoryctl doctor`: look at everything the memory rests on, and name the command that mends what is wrong.

It starts no daemon and changes nothing. Native libraries are tried in a process of their own, so that a crash is a
finding; what MCP clients are configured to launch is launched, greeted and ended.
"""

import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import metadata
from typing import Literal

import msgspec

from enhanced_memory.client.cli.configuration import config_file
from enhanced_memory.client.cli.declare import Answer, Call, verb
from enhanced_memory.client.cli.exits import OK, PROBLEM
from enhanced_memory.client.cli.handshake import mcp_clients
from enhanced_memory.client.cli.output import Paper
from enhanced_memory.client.cli.reaching import daemon, database, ownership, socket_file, socket_folder
from enhanced_memory.client.cli.running import sandbox
from enhanced_memory.client.cli.surroundings import (
    Finding,
    clock,
    disk,
    good,
    log_folder,
    store_file,
    store_folder,
    wary,
    wrong,
)
from enhanced_memory.client.errors import Error, Invalid
from enhanced_memory.client.settings import Settings

PYTHON = (3, 11)
PROBE = """
import json, sys
said = {}
try:
    import apsw
    said["apsw"], said["sqlite"] = apsw.apsw_version(), apsw.sqlite_lib_version()
    said["fts5"] = "ENABLE_FTS5" in apsw.compile_options
    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(True)
    said["extensions"] = True
    import sqlite_vec
    connection.load_extension(sqlite_vec.loadable_path())
    said["vec"] = connection.execute("select vec_version()").fetchone()[0]
except Exception as problem:
    said["problem"] = f"{type(problem).__name__}: {problem}"
print(json.dumps(said))
"""


class Probed(msgspec.Struct):
    """What the process that tries the native libraries says."""

    apsw: str = ""
    sqlite: str = ""
    fts5: bool = False
    extensions: bool = False
    vec: str = ""
    problem: str = ""


@dataclass
class Diagnosis:
    """Every finding, and whether all is well."""

    ok: bool
    findings: list[Finding]


CHECKS: tuple[Callable[[Settings], Iterator[Finding]], ...] = (
    store_folder,
    store_file,
    database,
    disk,
    clock,
    log_folder,
    socket_folder,
    socket_file,
    daemon,
    ownership,
    sandbox,
    mcp_clients,
)
"""What is looked at once the settings can be read, in this order."""


@verb("doctor", "Look at everything the memory rests on, and say how to mend what is wrong.")
def doctor(call: Call) -> Answer:
    """Starts no daemon and changes nothing. The exit code is 1 where something is wrong; warnings do not count."""
    findings = list(_all(call))
    well = not any(each.state == "wrong" for each in findings)
    diagnosis = Diagnosis(well, findings)
    return Answer(msgspec.to_builtins(diagnosis), lambda paper: _tell(paper, diagnosis), OK if well else PROBLEM)


def _all(call: Call) -> Iterator[Finding]:
    yield from _python()
    yield from _packages()
    yield from _libraries()
    try:
        settings = Settings.load({**call.overrides, "autostart": False})
    except Invalid as problem:
        yield wrong("settings", problem.message, problem.hint or f"edit {config_file()}")
        return
    yield good("settings", str(config_file()) if config_file().is_file() else "defaults and environment")
    for check in CHECKS:
        try:
            yield from check(settings)
        except Error as problem:
            yield wrong(check.__name__.replace("_", " "), problem.message, problem.hint)


def _python() -> Iterator[Finding]:
    running = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info < PYTHON:
        yield wrong("python", f"{running} at {sys.executable}; 3.11 or later is needed", "scripts/run")
    else:
        yield good("python", f"{running} at {sys.executable}")


def _packages() -> Iterator[Finding]:
    try:
        needed = [line for line in metadata.requires("enhanced-memory") or [] if "extra ==" not in line]
        version = metadata.version("enhanced-memory")
    except metadata.PackageNotFoundError:
        yield wary("packages", "enhanced-memory runs from its tree and is not installed", "pip install -e .")
        return
    missing: list[str] = []
    for line in needed:
        name = line.split(";")[0].strip()
        for sign in "<>=!~ [":
            name = name.split(sign)[0]
        if not any(_installed(one) for one in (name, *STAND_INS.get(name, ()))):
            missing.append(name)
    if missing:
        yield wrong(
            "packages", f"missing: {', '.join(missing)}", f"{sys.executable} -m pip install {' '.join(missing)}"
        )
    else:
        yield good("packages", f"enhanced-memory {version} and the {len(needed)} it needs")


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


STAND_INS = {"apsw": ("apsw-sqlite3mc",)}
"""Other builds of what is needed: to install the ordinary one over that which can encrypt would lock its store up."""


def _libraries() -> Iterator[Finding]:
    try:
        ran = subprocess.run([sys.executable, "-c", PROBE], capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        yield wrong("apsw", f"could not be tried: {problem}", f"{sys.executable} -c 'import apsw'")
        return
    try:
        found = msgspec.json.decode(ran.stdout, type=Probed)
    except msgspec.DecodeError:
        found = Probed(problem=f"the process that tried it ended with {ran.returncode}")
    reinstall = f"{sys.executable} -m pip install --force-reinstall"
    if not found.apsw or not found.fts5:
        yield wrong("apsw", found.problem or "its SQLite lacks FTS5", f"{reinstall} apsw")
        return
    yield good("apsw", f"{found.apsw} with SQLite {found.sqlite}, FTS5")
    if found.vec:
        yield good("sqlite-vec", f"{found.vec}, loaded as an extension")
    else:
        what = "sqlite-vec" if found.extensions else "apsw"
        yield wary("sqlite-vec", f"{found.problem}; what it does is done by NumPy", f"{reinstall} {what}")


MARKS: dict[Literal["ok", "warning", "wrong"], str] = {"ok": "ok", "warning": "!", "wrong": "WRONG"}


def _tell(paper: Paper, diagnosis: Diagnosis) -> None:
    paper.table(("", "check", "finding"), [(MARKS[each.state], each.check, each.says) for each in diagnosis.findings])
    for each in diagnosis.findings:
        if each.mend:
            paper.line(f"{each.check}: {each.mend}", "red" if each.state == "wrong" else "yellow")
    wary = sum(each.state == "warning" for each in diagnosis.findings)
    well = f"Nothing is wrong; to be looked at: {wary}." if wary else "All is well."
    paper.line(well if diagnosis.ok else "Something is wrong: see above.", "bold")
