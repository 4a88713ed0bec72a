"""Makes the default embedder's model out of MiniLM, and compares the two.

`python scripts/distill_embedder.py MODEL_FOLDER` writes `daemon/embedding/model`; `--check` writes nothing and says
how near the shipped model comes to MiniLM. MODEL_FOLDER holds all-MiniLM-L6-v2 as sentence-transformers lays it out.
Needs torch, transformers, tokenizers and scipy, in an environment of its own; nothing is downloaded.

No text is learnt from. MiniLM is shown bags of pieces drawn from its own vocabulary, and the vectors are those whose
sum comes nearest to its answers (least squares, held to what MiniLM says of each piece alone). Rounding differs
between machines and versions: the committed files are the reference, and a rebuild is another model.
"""

# torch, transformers and scipy describe their types only in part.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportMissingImports=false

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

os.environ["HF_HUB_OFFLINE"] = "1"

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = ROOT / "daemon" / "embedding" / "model"
SOURCE_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""model.safetensors of sentence-transformers/all-MiniLM-L6-v2, revision 1110a243fdf4706b3f48f1d95db1a4f5529b4d41."""

DIMENSION = 192
BAGS = 60_000
BAG = 12
"""Pieces in a bag: half drawn by how frequent they are, half evenly, so that each piece is seen some 12 times."""
HELD = 30.0
"""How strongly a piece is held to what MiniLM says of it alone."""
SIF = 1e-3
"""The usual constant of smooth inverse frequency weights (Arora and others, 2017)."""
SIGN, DIGIT, LETTER = 0.05, 0.5, 0.2
"""Weights of what stands in front of the words in the vocabulary and so has no rank."""
FIRST_WORD = 1996
"""The row of `the`: from here on MiniLM's vocabulary is ordered by how frequent a piece is."""
CLS, SEP = 101, 102

Floats = np.ndarray[Any, np.dtype[np.float32]]


def main() -> int:
    """Distils or checks as asked; the exit status is 1 if the source is not the one that the notice names."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("source", type=Path, help="folder of all-MiniLM-L6-v2")
    options.add_argument("--out", type=Path, default=SHIPPED, help="where the model goes")
    options.add_argument("--dimension", type=int, default=DIMENSION)
    options.add_argument("--bags", type=int, default=BAGS)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--check", action="store_true", help="write nothing, compare the model in --out with MiniLM")
    chosen = options.parse_args()
    found = hashlib.sha256((chosen.source / "model.safetensors").read_bytes()).hexdigest()
    if found != SOURCE_SHA256:
        print(f"{chosen.source} holds another model: {found}", file=sys.stderr)
        return 1
    teacher = Teacher(chosen.source, chosen.threads)
    if chosen.check:
        return check(teacher, chosen.out)
    vectors = distilled(teacher, chosen.dimension, chosen.bags)
    write(teacher.vocabulary, vectors, chosen.out)
    return check(teacher, chosen.out)


class Teacher:
    """MiniLM: what it says of rows of its vocabulary."""

    def __init__(self, folder: Path, threads: int) -> None:
        import torch
        from transformers import AutoModel

        torch.set_num_threads(threads)
        self.vocabulary = (folder / "vocab.txt").read_text("utf-8").splitlines()
        self._torch = torch
        self._model = AutoModel.from_pretrained(str(folder)).eval()

    def states(self, rows: np.ndarray[Any, np.dtype[np.int64]]) -> Iterator[tuple[slice, Floats]]:
        """The last hidden state of each row of pieces, in batches, the two frame pieces included."""
        torch = self._torch
        with torch.inference_mode():
            for begin in range(0, len(rows), 256):
                part = torch.from_numpy(rows[begin : begin + 256])
                ends = [torch.full((len(part), 1), piece) for piece in (CLS, SEP)]
                framed = torch.cat([ends[0], part, ends[1]], 1)
                state = self._model(input_ids=framed, attention_mask=torch.ones_like(framed)).last_hidden_state
                yield slice(begin, begin + len(part)), state.numpy()


def usable(vocabulary: list[str]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The rows that text can be cut into: all but the frame pieces and the unused ones."""
    return np.array(
        [row for row, piece in enumerate(vocabulary) if not (len(piece) > 4 and piece[0] + piece[-1] == "[]")]
    )


def weights(vocabulary: list[str]) -> Floats:
    """Smooth inverse frequency of every row, from its rank; letters of other scripts count as rare words."""
    found = np.ones(len(vocabulary), np.float32)
    zipf = np.log(len(vocabulary)) + 0.577
    for row, piece in enumerate(vocabulary):
        bare = piece.removeprefix("##")
        if row >= FIRST_WORD:
            found[row] = SIF / (SIF + 1 / ((row - FIRST_WORD + 2) * zipf))
        elif not bare.isalnum():
            found[row] = SIGN
        elif bare.isascii():
            found[row] = DIGIT if bare.isdigit() else LETTER
    return found


def alone(teacher: Teacher, rows: np.ndarray[Any, np.dtype[np.int64]]) -> Floats:
    """What MiniLM says of each piece by itself: its own state and the mean of its frame's, about their centre."""
    found = np.zeros((len(rows), 384), np.float32)
    for part, state in teacher.states(rows[:, None]):
        found[part] = state[:, 1] / 3 + state.mean(1)
    return found - found.mean(0)


def bags(teacher: Teacher, rows: np.ndarray[Any, np.dtype[np.int64]], number: int) -> tuple[Any, Any]:
    """Bags of pieces, and MiniLM's vector of each: where frequent words stand between pieces of every sort."""
    chance = np.random.default_rng(1)
    plain = np.array([row for row in rows if teacher.vocabulary[row].isascii() and teacher.vocabulary[row].isalpha()])
    rank = 1 / (np.arange(len(plain)) + 10.0)
    rounds = number * (BAG // 2) // len(rows) + 1
    even = np.concatenate([chance.permutation(rows) for _ in range(rounds)])[: number * (BAG // 2)]
    drawn = np.empty((number, BAG), np.int64)
    drawn[:, 0::2] = chance.choice(plain, (number, BAG // 2), p=rank / rank.sum())
    drawn[:, 1::2] = even.reshape(number, BAG // 2)
    # Half precision is finer than what the fit leaves open.
    answers = np.zeros((number, 384), np.float16)
    began = time.monotonic()
    for part, state in teacher.states(drawn):
        mean = state.mean(1)
        answers[part] = mean / np.linalg.norm(mean, axis=1, keepdims=True)
        if part.start % 25_600 == 0:
            print(f"{part.start} of {number} bags, {time.monotonic() - began:.0f} s", flush=True)
    return drawn, answers


def fitted(drawn: Any, answers: Any, start: Floats, size: int) -> Floats:
    """The vectors whose sums come nearest to the answers, held to `start` (conjugate gradients, all axes at once)."""
    from scipy.sparse import csr_matrix

    number, width = drawn.shape
    place = np.repeat(np.arange(number), width)
    counts = csr_matrix((np.ones(number * width, np.float32), (place, drawn.ravel())), shape=(number, size))
    wanted = answers.astype(np.float32)
    wanted -= wanted.mean(0)
    guess = counts @ start
    start = start * np.float32((guess * wanted).sum() / (guess * guess).sum())
    rest = counts.T @ (wanted - counts @ start)
    change, step, error = np.zeros_like(start), rest.copy(), (rest * rest).sum(0)
    for _ in range(25):
        moved = counts.T @ (counts @ step) + HELD * step
        length = error / np.maximum((step * moved).sum(0), 1e-20)
        change += length * step
        rest -= length * moved
        now = (rest * rest).sum(0)
        step = rest + now / np.maximum(error, 1e-20) * step
        error = now
    return start + change


def distilled(teacher: Teacher, dimension: int, number: int) -> Floats:
    """A vector for each usable row, its weight included, along the `dimension` axes that matter most."""
    rows = usable(teacher.vocabulary)
    weight = weights(teacher.vocabulary)
    start = np.zeros((len(teacher.vocabulary), 384), np.float32)
    start[rows] = alone(teacher, rows) * weight[rows, None]
    vectors = fitted(*bags(teacher, rows, number), start, len(start))[rows]
    vectors -= vectors.mean(0)
    _, axes = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors)
    # The fit has weighed the pieces once; the root of the usual weight on top was measured to be best.
    return (vectors @ axes[:, ::-1][:, :dimension] * np.sqrt(weight[rows, None])).astype(np.float32)


def write(vocabulary: list[str], vectors: Floats, out: Path) -> None:
    """The model's three files: a piece a line, its vector in 8 bits, and each vector's scale."""
    scales = np.maximum(np.abs(vectors).max(1) / 127, 1e-12).astype(np.float32)
    out.mkdir(parents=True, exist_ok=True)
    pieces = [vocabulary[row] for row in usable(vocabulary)]
    (out / "vocabulary.txt").write_text("".join(f"{piece}\n" for piece in pieces), "utf-8")
    np.save(out / "pieces.npy", np.rint(vectors / scales[:, None]).astype(np.int8))
    np.save(out / "scales.npy", scales)


def check(teacher: Teacher, folder: Path) -> int:
    """Say how near the model's similarities come to MiniLM's, on bags that it was not fitted to."""
    pieces = np.load(folder / "pieces.npy") * np.load(folder / "scales.npy")[:, None]
    rows = usable(teacher.vocabulary)
    drawn = np.random.default_rng(99).integers(0, len(rows), (1000, BAG))
    answers = np.concatenate([state.mean(1) for _, state in teacher.states(rows[drawn])])
    sums = pieces[drawn].sum(1)
    likeness = [unit(part) @ unit(part).T for part in (answers - answers.mean(0), sums)]
    above = np.triu_indices(len(drawn), 1)
    agreement = np.corrcoef(likeness[0][above], likeness[1][above])[0, 1]
    size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    print(
        f"{folder}: {pieces.shape[0]} pieces, {pieces.shape[1]} dimensions, {size} bytes; correlation {agreement:.3f}"
    )
    return 0


def unit(vectors: Floats) -> Floats:
    """The vectors, of length one."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


if __name__ == "__main__":
    sys.exit(main())
