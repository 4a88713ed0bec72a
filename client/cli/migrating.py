"""The verb that moves a whole store, from a file into a database or back: `memory-db migrate` does it and is executed for it."""

import os
import subprocess
from pathlib import Path
from typing import Any

import msgspec

from enhanced_memory.client.cli.declare import Answer, Call, argument, verb
from enhanced_memory.client.cli.exits import OK, PROBLEM
from enhanced_memory.client.cli.keeping import PROGRAM, document
from enhanced_memory.client.cli.output import Paper
from enhanced_memory.client.cli.progress import progress
from enhanced_memory.client.settings import PREFIX


class Step(msgspec.Struct):
    """How far a move is, as `memory-db` says it."""

    step: str
    done: int
    total: int


@verb(
    "migrate",
    "Move the store from a file into a PostgreSQL database, or back, and prove that it is the same there.",
    argument("to", metavar="TO", help="postgresql://…, or a file that does not exist yet"),
    argument("--from", dest="source", metavar="STORE", help="what is moved (default: the store of the settings)"),
    argument("--stop", action="store_true", help="end the daemons of this host that have either store open"),
    argument("--anew", action="store_true", help="do not go on with what an earlier run has begun"),
)
def migrate(call: Call) -> Answer:
    """The old store is only read and stays where it is. A move that was cut short is gone on with when this is run again. The exit
    code is 1 where the new store is not the same as the old one; then it was not put in its place.
    """
    given = call.given
    to = given.to if "://" in given.to else str(Path(given.to).expanduser().absolute())
    words = [f"--to={to}", *(["--stop"] if given.stop else []), *(["--anew"] if given.anew else [])]
    if given.source:
        source = given.source if "://" in given.source else str(Path(given.source).expanduser().absolute())
        words.append(f"--store={source}")
    found, code = _shown(call, words)
    return Answer(found, lambda paper: _tell(paper, found), OK if code == OK else PROBLEM)


def _shown(call: Call, words: list[str]) -> tuple[dict[str, Any], int]:
    """Execute `memory-db migrate` and show each of its steps as a bar."""
    said = {PREFIX + name.upper(): str(value) for name, value in call.overrides.items()}
    command = [*PROGRAM, "migrate", "--json", "--progress", *words]
    rest: list[bytes] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **said}) as child:
        assert child.stdout is not None
        line = child.stdout.readline()
        while line:
            step = _step(line)
            if step is None:
                rest.append(line)
                line = child.stdout.readline()
                continue
            with progress(step.step, step.total or None) as advance:
                shown, name = 0, step.step
                while step is not None and step.step == name:
                    advance(max(0, step.done - shown))
                    shown = max(shown, step.done)
                    line = child.stdout.readline()
                    step = _step(line)
        complaint = child.stderr.read() if child.stderr is not None else b""
    return document("migrate", b"".join(rest), complaint), child.returncode


def _step(line: bytes) -> Step | None:
    try:
        return msgspec.json.decode(line, type=Step)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _tell(paper: Paper, found: dict[str, Any]) -> None:
    rows = sum(found["tables"].values())
    if found["ok"]:
        paper.line(f"{found['target']} is the store now that {found['source']} is, at change {found['change']}.")
    else:
        paper.line(f"{found['target']} was not made: what was carried there is not the same.", "red")
        for problem in found["problems"]:
            paper.line(f"- {problem}", indent=2)
    facts = [
        ("holds", f"{rows:,} rows in {len(found['tables'])} tables, each read back and compared"),
        ("written", f"{found['rows']:,} rows in {found['copied_s']:.1f} s, {found['rows_s']:,.0f} a second"
                    + (", after an earlier run" if found["went_on"] else "")),
        ("proven", f"in {found['proven_s']:.1f} s"),
    ]  # fmt: skip
    facts += [("cold storage", f"{found['cold_files']} files were copied")] if found["cold_files"] else []
    facts += [("ended", "daemon " + ", ".join(map(str, found["ended"])))] if found["ended"] else []
    paper.facts(facts)
    if found["ok"]:
        paper.line(f"To use it, set `store` to {found['target']}. The old store is as it was.")
    else:
        paper.line("Run it with --anew; if it differs again, `memoryctl verify` says whether the old store is sound.")
