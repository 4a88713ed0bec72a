"""Messages of an export, added to streams that have messages of their own."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from enhanced_memory.client.errors import Refused
from enhanced_memory.client.values import MessageInput
from enhanced_memory.daemon.store import Tx
from enhanced_memory.daemon.store.imports import ImportJob, Report
from enhanced_memory.daemon.store.records import MessageRecord
from enhanced_memory.daemon.text import check_data, check_text
from enhanced_memory.daemon.times import moment

__all__ = ["append_missing"]


def append_missing(tx: Tx, job: ImportJob, report: Report, stream: int, run: Sequence[tuple[int, Any]]) -> None:
    """Append the messages that the stream does not have yet. Equal ones of one import are as many as they were."""
    fresh: list[MessageRecord] = []
    for place, one in run:
        try:
            _check(tx, one)
        except Refused as problem:
            report.problem(place, problem.message)
            continue
        if one.ended:
            report.count("ended_messages_left_out")
        elif job.get("message", one.id) is not None:
            report.count("unchanged")
        else:
            fresh.append(one)
    times = msgspec.json.encode(sorted({one.at for one in fresh})).decode()
    had: Counter[tuple[str, str, int, bytes]] = Counter()
    rows = (
        tx.rows.all("transfer_messages_at", stream=stream, space=tx.space, before=job.start, times=times)
        if fresh
        else []
    )
    for role, kind, at, checksum, body in rows:
        had[role, kind, at, _digest(tx.line(body, checksum).content)] += 1
    appended: list[tuple[int, MessageInput]] = []
    for one in fresh:
        key = (one.role, one.kind, one.at, _digest(one.content))
        if had[key]:
            had[key] -= 1
            job.put("message", one.id, 0)
            report.count("unchanged")
        else:
            appended.append((one.id, MessageInput(
                one.content, one.role, one.kind, one.speaker, moment(one.at), one.tick, one.importance, one.tokens, one.provider, one.metadata
            )))  # fmt: skip
    if appended:
        for (number, _), here in zip(
            appended, tx.streams.append(stream, [given for _, given in appended]), strict=True
        ):
            job.put("message", number, here)
    report.count("messages", len(appended))


def _check(tx: Tx, one: MessageRecord) -> None:
    settings = tx.settings
    check_text(one.content, "The message", settings.max_text_chars)
    for text, what in (
        (one.role, "The role"),
        (one.kind, "The kind"),
        (one.speaker, "The speaker"),
        (one.provider, "The provider"),
    ):
        check_text(text, what, settings.max_name_chars)
    check_data(one.metadata, "The message's metadata", settings.max_text_chars)


def _digest(content: str) -> bytes:
    return hashlib.sha256(content.encode()).digest()
