"""The default embedder: a vector for each piece of a word, and a text is their sum.

The vectors were distilled from MiniLM (`scripts/distill_embedder.py`; `model/NOTICE.txt` says from what, under which
licence). They are read through a memory map and need nothing but numpy. Text is cut into word pieces as MiniLM cuts
it, lower case and without accents, with one difference: symbols and emoji stand alone, so that `great😀` is `great`.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from functools import cache
from itertools import chain
from pathlib import Path
from re import compile as pattern
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from enhanced_memory.client.errors import Broken

__all__ = ["MODEL", "StaticEmbedder", "shipped"]

Kind = TypeVar("Kind", bound=np.generic)

MODEL = Path(__file__).with_name("model")
"""The model that ships."""

FILES = ("vocabulary.txt", "pieces.npy", "scales.npy")
RULES = b"1"
"""Counted up when text is cut or summed in another way: the same files then give other vectors."""

KEPT_RUNS = 1 << 15
KEPT_CHARS = 32
"""How many runs of text without a space are remembered with their pieces, and how long one may be: some 6 MB."""

SUMMED_AT_ONCE = 1024
"""Pieces whose vectors are held at one time: 1 MB, which stays in the processor's cache."""

LONGEST_WORD = 100
"""Longer words are not looked at, as in MiniLM: they are keys, hashes, encoded files."""

ASCII_WORDS = pattern(r"[a-z0-9]+|[!-/:-@\[-`{-~]")
ASCII_CONTROLS = dict.fromkeys([*range(32), 127])
TINY = 1e-6
"""A sum shorter than this is the rounding error of pieces that cancel out."""

HINT = "install the package again"

IDEOGRAPH = pattern(
    "[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002a6df\U0002a700-\U0002ceaf\U0002f800-\U0002fa1f]"
)


class StaticEmbedder:
    """The embedder that is always there: loaded in milliseconds, thousands of texts a second, no torch.

    The same text gives the same bytes, whichever texts stand beside it. A text without a known piece (blank, or in
    a script that the model has no letters of) gets zeros. `Broken` if the files in `folder` are missing or do not fit.
    May be used by several threads.
    """

    name = "minilm-static"

    def __init__(self, folder: Path = MODEL) -> None:
        self._folder = folder
        try:
            vocabulary = (folder / FILES[0]).read_text("utf-8").split("\n")[:-1]
            self._pieces = opened(folder / FILES[1], np.int8, 2)
            self._scales = opened(folder / FILES[2], np.float32, 1)
        except (OSError, ValueError, EOFError) as wrong:
            raise Broken(f"The embedder's model in {folder} cannot be read: {wrong}", HINT) from wrong
        fits = len(vocabulary) == len(self._pieces) == len(self._scales) and self._pieces.shape[1] > 0
        if not fits or not np.isfinite(self._scales).all():
            raise Broken(f"The files of the embedder's model in {folder} do not belong together.", HINT)
        self._whole = self._pieces.shape[1]
        self._runs = Runs(vocabulary)

    def shortened(self, dimension: int) -> "StaticEmbedder":
        """The same model with so many of its components alone, the first, which matter most; itself for no fewer than it has."""
        if dimension >= self.dimension:
            return self
        short = copy(self)
        short._pieces = self._pieces[:, :dimension]
        return short

    @property
    def dimension(self) -> int:
        """The length of each vector."""
        return self._pieces.shape[1]

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 of the model's files, of the rules in this module, and of how many components there are where these are not all.
        `Broken` if the files are gone."""
        seen = hashlib.sha256(RULES)
        try:
            for name in FILES:
                seen.update(hashlib.sha256((self._folder / name).read_bytes()).digest())
        except OSError as wrong:
            raise Broken(f"The embedder's model in {self._folder} cannot be read: {wrong}", HINT) from wrong
        if self.dimension < self._whole:
            seen.update(b"%d" % self.dimension)
        return seen.hexdigest()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row of unit length for each text, in their order; zeros for a text without a known piece."""
        found = np.zeros((len(texts), self.dimension), np.float32)
        waiting: list[tuple[int, list[int]]] = []
        size = 0
        for place, text in enumerate(texts):
            rows = self._runs.rows(text)
            if not rows:
                continue
            if size + len(rows) > SUMMED_AT_ONCE and waiting:
                self._sum(waiting, found)
                waiting, size = [], 0
            waiting.append((place, rows))
            size += len(rows)
        if waiting:
            self._sum(waiting, found)
        lengths = np.sqrt(np.einsum("ij,ij->i", found, found))
        lengths[lengths < TINY] = np.inf
        found /= lengths[:, None]
        return found

    def _sum(self, waiting: list[tuple[int, list[int]]], found: NDArray[np.float32]) -> None:
        """Add up the pieces of the waiting texts, each into its row of `found`."""
        places = [place for place, _ in waiting]
        rows = list(chain.from_iterable(rows for _, rows in waiting))
        starts = np.cumsum([0, *(len(rows) for _, rows in waiting[:-1])])
        # Only a text that waits alone is longer than one round, so that its rounds are cut alike wherever it stands.
        for begin in range(0, len(rows), SUMMED_AT_ONCE):
            part = rows[begin : begin + SUMMED_AT_ONCE]
            vectors = self._pieces[part] * self._scales[part][:, None]
            # Not reduce() for one text: it adds in another order, and the last bit would tell who stood beside it.
            found[places] += np.add.reduceat(vectors, starts, axis=0)


@cache
def shipped() -> StaticEmbedder:
    """The model that ships, whole, read once for all who use it in this process. `Broken` as above; who asks next tries anew."""
    return StaticEmbedder()


def opened(path: Path, kind: type[Kind], axes: int) -> NDArray[Kind]:
    """The array in `path`, not read before it is used. `ValueError` if it is of another kind."""
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.dtype != kind or array.ndim != axes:
        raise ValueError(f"{path.name} holds {array.dtype} in {array.ndim} dimensions")
    # The plain array over the same map: indexing a memmap runs Python for each result.
    return np.asarray(array)


class Runs(dict[str, tuple[int, ...]]):
    """The rows of every run of text between two spaces; what is frequent is cut once and remembered."""

    def __init__(self, vocabulary: Iterable[str]) -> None:
        super().__init__()
        self._first: dict[str, int] = {}
        self._later: dict[str, int] = {}
        for row, piece in enumerate(vocabulary):
            later = len(piece) > 2 and piece.startswith("##")
            (self._later if later else self._first)[piece[2:] if later else piece] = row
        self._longest = max(map(len, chain(self._first, self._later)), default=0)

    def rows(self, text: str) -> list[int]:
        """The rows of all known pieces of `text`, in its order."""
        return list(chain.from_iterable(map(self.__getitem__, text.split())))

    def __missing__(self, run: str) -> tuple[int, ...]:
        rows = tuple(chain.from_iterable(self._cut(word) for word in words(run)))
        if len(run) <= KEPT_CHARS:
            if len(self) >= KEPT_RUNS:
                self.clear()
            self[run] = rows
        return rows

    def _cut(self, word: str) -> list[int]:
        """The rows of the longest pieces that make up `word`, from its front; none if a part of it is unknown."""
        found: list[int] = []
        if len(word) > LONGEST_WORD:
            return found
        begin, known = 0, self._first
        while begin < len(word):
            for end in range(min(len(word), begin + self._longest), begin, -1):
                row = known.get(word[begin:end])
                if row is not None:
                    break
            else:
                return []
            found.append(row)
            begin, known = end, self._later
        return found


def words(run: str) -> Iterable[str]:
    """The words and signs in a run of text without a space: lower case, no accents, no control characters."""
    if run.isascii():
        return ASCII_WORDS.findall(run.lower().translate(ASCII_CONTROLS))
    return unicode_words(run)


def unicode_words(run: str) -> Iterator[str]:
    """The same for any script. Punctuation, symbols and ideographs stand alone."""
    word: list[str] = []
    for char in unicodedata.normalize("NFD", run):
        sort = unicodedata.category(char)
        if sort == "Mn" or sort[0] == "C":
            continue
        # Letter by letter: lower() of a whole word would turn a sigma at its end into another letter.
        low = char.lower()
        if sort[0] in "PS" or IDEOGRAPH.match(char):
            if word:
                yield "".join(word)
                word = []
            yield low
        else:
            word.append(low)
    if word:
        yield "".join(word)
