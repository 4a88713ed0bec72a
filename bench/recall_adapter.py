"""Drives a real daemon through the real client by the external protocol of a retrieval benchmark.

JSON lines on stdin (`add`, `commit`, `query`, `quit`), JSON lines on stdout. One fresh store per process, or with `--store`
one for all. Sessions become streams, turns become messages; `--embedder none` leaves meaning out.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from datetime import UTC, datetime
from typing import Any


def main() -> None:
    """Answer until `quit` or the end of the input."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--embedder", default="static", help="the daemon's setting")
    given = parser.parse_args()
    home = tempfile.mkdtemp(prefix="em-recall-")
    prefix = "ENHANCED_MEMORY_"
    os.environ.update(
        {prefix + "STORE": f"{home}/memory.db", prefix + "SOCKET": f"{home}/s", prefix + "LOG_FILE": f"{home}/log"}
        | {prefix + "EMBEDDER": given.embedder}
    )
    from enhanced_memory.client import Memory

    try:
        with Memory(client="recall") as memory:
            pid = memory.welcome.pid
            try:
                answer(memory, given.embedder != "none")
            finally:
                os.kill(pid, signal.SIGTERM)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def answer(memory: Any, meaning: bool) -> None:
    """Carry out the protocol."""
    from enhanced_memory.client.values import MessageInput

    turns: dict[str, list[tuple[str, MessageInput]]] = {}
    place: dict[int, str] = {}
    for text in sys.stdin:
        line = json.loads(text)
        if line["op"] == "add":
            when = datetime.fromisoformat(line["date"]).replace(tzinfo=UTC) if line.get("date") else None
            role = "assistant" if line["speaker"].lower() in ("assistant", "ai") else "user"
            turns.setdefault(f"session {line['session']}", []).append(
                (line["id"], MessageInput(line["text"], role=role, speaker=line["speaker"], at=when))
            )
        elif line["op"] == "commit":
            for stream, messages in turns.items():
                ids = memory.append_messages(stream, [message for _, message in messages]).ids
                place |= {number: turn for number, (turn, _) in zip(ids, messages, strict=True)}
            turns.clear()
            while meaning and "0 passages waiting" not in memory.get_memory_status().search:
                time.sleep(0.02)
            print(json.dumps({"ok": True}), flush=True)
        elif line["op"] == "query":
            found = memory.search_messages(line["query"], limit=line["k"]).hits
            print(json.dumps({"qid": line["qid"], "ids": [place[hit.message.id] for hit in found]}), flush=True)
        else:
            return


if __name__ == "__main__":
    main()
