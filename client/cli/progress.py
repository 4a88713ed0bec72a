"""A progress bar on stderr, where stderr is a terminal; nothing at all elsewhere."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

__all__ = ["progress"]


@contextmanager
def progress(title: str, total: int | None = None, *, unit: str = "") -> Generator[Callable[[int], None]]:
    """Show a bar while the block runs; call what it gives with how much was done since.

    Without a `total` the bar only moves to show that work goes on. `unit="bytes"` shows sizes.
    """
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = [TextColumn("{task.description}"), BarColumn()]
    amount = (
        [DownloadColumn() if unit == "bytes" else MofNCompleteColumn(), TimeRemainingColumn()]
        if total is not None
        else []
    )
    with Progress(*columns, *amount, TimeElapsedColumn(), console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=total)
        yield lambda done: bar.advance(task, done)
