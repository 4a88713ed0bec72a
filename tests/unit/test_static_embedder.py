"""The default embedder: what is alike lies near, whatever the text, and the files that ship are whole."""

import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from enhanced_memory.client.errors import Broken
from enhanced_memory.daemon.embedding import STORED, Embedder
from enhanced_memory.daemon.embedding.static import (
    KEPT_RUNS,
    MODEL,
    SUMMED_AT_ONCE,
    Runs,
    StaticEmbedder,
    unicode_words,
    words,
)

SHIPPED = StaticEmbedder()
PIECES = (MODEL / "vocabulary.txt").read_text("utf-8").split("\n")[:-1]


def cut(text: str) -> list[str]:
    """The pieces that the shipped model sees in a text."""
    return [PIECES[row] for row in Runs(PIECES).rows(text)]


def likeness(one: str, other: str) -> float:
    first, second = SHIPPED.embed([one, other])
    return float(first @ second)


def test_it_is_an_embedder() -> None:
    embedder: Embedder = SHIPPED
    assert (embedder.name, embedder.dimension, len(embedder.fingerprint)) == ("minilm-static", 192, 64)


@pytest.mark.parametrize(
    ("query", "near", "far"),
    [
        ("Where does she live?", "Her home is in Lisbon.", "The build failed twice on Monday."),
        ("my dog is ill", "The puppy was sick, so we called the vet.", "Invoices are due within thirty days."),
        ("database is slow", "SQL queries take seconds since the index was dropped", "We hiked up the mountain."),
        ("favourite food", "I love to eat pasta and pizza", "The train to Berlin was cancelled."),
        ("car trouble", "My vehicle's engine would not start", "She plays the violin in an orchestra"),
        ("physician appointment", "see the doctor on Tuesday", "repaint the garden fence"),
    ],
)
def test_what_means_the_same_lies_nearer(query: str, near: str, far: str) -> None:
    """The texts share no word with the query that decides it."""
    assert likeness(query, near) > likeness(query, far) + 0.1


@given(st.text(st.characters(codec=None)))
@example("\ud800")
@example("a\0b\ufeff")
@example("e" + "\u0301" * 5000)
@settings(max_examples=200, deadline=None)
def test_any_text_gives_a_unit_vector_or_zeros(text: str) -> None:
    (vector,) = SHIPPED.embed([text])
    assert vector.dtype == np.float32
    assert np.isfinite(vector).all()
    length = float(np.linalg.norm(vector))
    assert length == 0 or abs(length - 1) < 1e-5
    assert (length > 0) == bool(cut(text))


@pytest.mark.parametrize("text", ["", " \n\t", "\x00\x01", "\u0301", "x" * 101, "\U00012000"])
def test_text_without_a_known_piece_gives_zeros(text: str) -> None:
    assert not SHIPPED.embed([text]).any()


def test_no_texts_give_no_rows() -> None:
    assert SHIPPED.embed([]).shape == (0, 192)


def test_a_vector_does_not_depend_on_what_stands_beside_it() -> None:
    """Bit for bit: a text embedded again is found again."""
    long = "one long text about sailing boats " * (SUMMED_AT_ONCE // 3)
    texts = ["Anna likes tea.", "", long, "日本語", "x", *(f"note {number} of the day" for number in range(300)), long]
    together = SHIPPED.embed(texts)
    assert (together == np.concatenate([SHIPPED.embed([text]) for text in texts])).all()
    assert (together[::-1] == SHIPPED.embed(texts[::-1])).all()
    assert (together == StaticEmbedder().embed(texts)).all()


def test_a_long_text_is_the_sum_of_all_of_it() -> None:
    front, back = "sailing boats " * 2000, "tax law " * 2000
    assert min(likeness(front + back, front), likeness(front + back, back)) > 0.5


def test_case_accents_and_composition_do_not_matter() -> None:
    texts = ["Café Zürich", "CAFE ZURICH", "cafe\u0301 zu\u0308rich"]
    vectors = SHIPPED.embed(texts)
    assert (vectors == vectors[0]).all()


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Don't go!", ["don", "'", "t", "go", "!"]),
        ("embeddings", ["em", "##bed", "##ding", "##s"]),
        ("snake_case /usr/lib", ["snake", "_", "case", "/", "us", "##r", "/", "li", "##b"]),
        ("v1.25", ["v", "##1", ".", "25"]),
        ("北京大学", ["北", "京", "大", "学"]),
        ("Привет", ["п", "##р", "##и", "##в", "##е", "##т"]),
        ("great😀!", ["great", "!"]),
        ("a\x01b\u200bc", ["abc"]),
        ("a\u00a0b\u3000c", ["a", "b", "c"]),
        ("ΟΣ", ["ο", "##σ"]),
        ("İstanbul", ["istanbul"]),
        ("##s", ["#", "#", "s"]),
    ],
)
def test_text_is_cut_as_minilm_cuts_it(text: str, pieces: list[str]) -> None:
    assert cut(text) == pieces


@given(st.text(st.characters(codec="ascii", exclude_characters=" ")))
def test_the_quick_way_for_ascii_cuts_as_the_way_for_every_script(run: str) -> None:
    assert list(words(run)) == list(unicode_words(run))


def test_what_is_remembered_is_bounded_and_changes_nothing() -> None:
    runs = Runs(PIECES)
    first = runs.rows("remember this")
    runs.rows(" ".join(f"w{number}" for number in range(KEPT_RUNS + 10)))
    runs.rows("y" * 5000)
    assert len(runs) <= KEPT_RUNS
    assert max(map(len, runs)) <= 32
    assert runs.rows("remember this") == first


def test_threads_may_share_it() -> None:
    embedder = StaticEmbedder()
    texts = [f"thread text {number} about topic{number % 7}" for number in range(400)]
    expected = SHIPPED.embed(texts)
    same: list[bool] = []
    threads = [
        threading.Thread(target=lambda: same.append(bool((embedder.embed(texts) == expected).all()))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert same == [True] * 4


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model of three pieces."""
    np.save(tmp_path / "pieces.npy", np.array([[127, 0], [0, 127], [-127, 0]], np.int8))
    np.save(tmp_path / "scales.npy", np.full(3, 1 / 127, np.float32))
    (tmp_path / "vocabulary.txt").write_text("up\nright\ndown\n")
    return tmp_path


def test_a_text_is_the_sum_of_its_pieces(folder: Path) -> None:
    got = StaticEmbedder(folder).embed(["up", "Up right", "unknown up", "unknown"])
    assert got == pytest.approx(np.array([[1, 0], [0.5**0.5, 0.5**0.5], [1, 0], [0, 0]]), abs=1e-6)


def test_pieces_that_cancel_out_point_nowhere(folder: Path) -> None:
    assert not StaticEmbedder(folder).embed(["up down"]).any()


@pytest.mark.parametrize("name", ["vocabulary.txt", "pieces.npy", "scales.npy"])
def test_the_fingerprint_tells_models_apart(folder: Path, name: str) -> None:
    before = StaticEmbedder(folder).fingerprint
    assert before == StaticEmbedder(folder).fingerprint != SHIPPED.fingerprint
    content = (folder / name).read_bytes()
    (folder / name).write_bytes(content.replace(b"down", b"left") if name.endswith("txt") else content[:-1] + b"\x3b")
    assert StaticEmbedder(folder).fingerprint != before


@pytest.mark.parametrize("name", ["vocabulary.txt", "pieces.npy", "scales.npy"])
@pytest.mark.parametrize("content", [None, b"", b"\x93NUMPY\x01\x00", b"\xff\xfe rubbish"])
def test_a_broken_model_is_named_with_its_repair(folder: Path, name: str, content: bytes | None) -> None:
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(Broken, match="install the package again") as said:
        StaticEmbedder(folder)
    assert str(folder) in str(said.value)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("pieces.npy", np.zeros((2, 2), np.int8)),
        ("pieces.npy", np.zeros((3, 0), np.int8)),
        ("pieces.npy", np.zeros((3, 2), np.float32)),
        ("scales.npy", np.zeros((3, 1), np.float32)),
        ("scales.npy", np.array([1, np.nan, 1], np.float32)),
    ],
)
def test_files_that_do_not_belong_together_are_refused(folder: Path, name: str, array: np.ndarray) -> None:
    np.save(folder / name, array)
    with pytest.raises(Broken):
        StaticEmbedder(folder)


def test_the_shipped_files_are_small_and_say_where_they_are_from() -> None:
    assert sum(path.stat().st_size for path in MODEL.iterdir()) < 6_500_000
    notice = (MODEL / "NOTICE.txt").read_text("utf-8")
    for word in ("all-MiniLM-L6-v2", "Apache License", "distill_embedder.py"):
        assert word in notice
    assert "Version 2.0, January 2004" in (MODEL / "LICENSE.txt").read_text("utf-8")


def test_it_needs_nothing_heavy() -> None:
    program = (
        "import sys; from enhanced_memory.daemon.embedding.static import StaticEmbedder as E; E().embed(['x'])\n"
        "print(*(name for name in ('torch', 'transformers', 'tokenizers', 'scipy', 'apsw') if name in sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.stdout.strip(), ran.returncode) == ("", 0), ran.stderr


def test_the_protocol_alone_does_not_load_numpy() -> None:
    program = "import sys, enhanced_memory.daemon.embedding; print('numpy' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (ran.stdout.strip(), ran.returncode) == ("False", 0), ran.stderr


def test_fewer_components_are_the_first_ones_and_another_model() -> None:
    short = SHIPPED.shortened(STORED)
    texts = ["fixing a bike", "naïve café", "", "雪が降る", "fixing"]
    whole = SHIPPED.embed(texts)[:, :STORED]
    lengths = np.maximum(np.linalg.norm(whole, axis=1, keepdims=True), 1e-9)
    assert short.embed(texts) == pytest.approx(whole / lengths, abs=1e-5)
    assert (short.dimension, short.name) == (STORED, SHIPPED.name)
    assert short.fingerprint == StaticEmbedder().shortened(STORED).fingerprint != SHIPPED.fingerprint
    assert SHIPPED.shortened(192) is SHIPPED
