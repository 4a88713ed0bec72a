"""What is derived, made anew: how far that is, and the words index filled a second time beside the one that serves."""

from typing import Any

import msgspec

from enhanced_memory.daemon.store import derived
from enhanced_memory.daemon.store.ground import Ground
from enhanced_memory.daemon.store.streams import day
from enhanced_memory.daemon.store.words import word_row

__all__ = ["Mark", "Rederived"]

_KEY = "reindex"


class Mark(msgspec.Struct):
    """A reindexing that is under way, as the store keeps it."""

    what: str
    reset: bool = False
    """Whether the model's vectors were declared unseen already."""
    words: int = 0
    """Every passage up to this one has its words in the second index."""
    words_done: bool = False


class Rederived:
    """Writes derived things once more."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground

    def note(self, mark: Mark | None) -> None:
        """Keep how far it is; None once it is done."""
        self._ground.rows.run("set_meta", key=_KEY, value=msgspec.json.encode(mark))

    def noted(self) -> Mark | None:
        """What is under way."""
        row = self._ground.rows.one("get_meta", key=_KEY)
        return None if row is None else msgspec.json.decode(row[0], type=Mark | None)

    def begin_words(self, mark: Mark) -> None:
        """Make the second index, unless it is there. From now on it is written along with the first."""
        if not self._ground.rows.one("has_words_next"):
            mark.words = 0
            self._ground.rows.run("begin_words_next")
            self.note(mark)

    def some_words(self, mark: Mark, count: int) -> bool:
        """Write the words of the next passages; whether there may be more."""
        ground = self._ground
        rows = ground.rows.all("passages_after", after=mark.words, limit=count)
        if not rows:
            return False
        words = [word_row(row[0], row[2], *texts) for row, texts in self.texts(rows)]
        ground.rows.many("add_words_next", words)
        mark.words = rows[-1][0]
        self.note(mark)
        return len(rows) == count

    def end_words(self, mark: Mark) -> None:
        """Let the second index take the place of the first."""
        if self._ground.rows.one("has_words_next"):
            self._ground.rows.run("swap_words")
        mark.words_done = True
        self.note(mark)

    def texts(self, rows: list[tuple[Any, ...]]) -> list[tuple[tuple[Any, ...], tuple[str, ...]]]:
        """Name, body and dates of passages, each `(id, space, entity, part, message, began)`."""
        ground = self._ground
        found: list[tuple[tuple[Any, ...], tuple[str, ...]]] = []
        messages = {row[4]: row for row in rows if row[4]}
        said = ground.rows.all("spoken", ids=msgspec.json.encode(sorted(messages)).decode())
        for number, speaker, at, checksum, body in said:
            found.append((messages[number], (speaker, ground.line(body, checksum).content, day(at))))
        for space in {row[1] for row in rows if not row[4]}:
            here = [row for row in rows if row[1] == space and not row[4]]
            ids = msgspec.json.encode(sorted({row[2] for row in here})).decode()
            texts = {
                entity: derived.texts(ground.codec.state(body, checksum))
                for entity, checksum, body in ground.rows.all("heads", space=space, ids=ids)
            }
            found += [(row, texts[row[2]][row[3]]) for row in here if row[3] in texts.get(row[2], {})]
        return found
