"""How meaning fares, told to people and to programs."""

from enhanced_memory.client.operations.service import Meaning
from enhanced_memory.daemon.embedding.service import NONE, Embedding

__all__ = ["in_words", "meaning"]


def in_words(embedding: Embedding) -> str:
    """What answers searches, in words."""
    if embedding.kind == NONE:
        return "names and words (keywords only: the setting `embedder` is none)"
    problem, hint = embedding.trouble()
    model, index = embedding.model, embedding.index
    if model is None or index is None or not embedding.usable:
        why = problem or (
            "the model is being loaded" if embedding.backlog.last else "the model is loaded with the first memory"
        )
        return f"names and words (keywords only: {why}{'; ' + hint if hint else ''})"
    waiting = embedding.backlog.waiting(model.embedded)
    said = f"{model.name}, {len(index):,} vectors, {arm(embedding)}, {waiting:,} passages waiting"
    if problem:
        return f"names and words (keywords only: {problem}{'; ' + hint if hint else ''}) ({said})"
    other = f"; {embedding.mismatch} Change to it with `memoryctl reindex`." if embedding.mismatch else ""
    return f"names, words and meaning ({said}){other}"


def meaning(embedding: Embedding) -> Meaning:
    """The same for programs."""
    model, index = embedding.model, embedding.index
    problem, hint = embedding.trouble()
    if embedding.kind == NONE:
        return Meaning("none", NONE)
    embedded = model.embedded if model is not None else 0
    waiting, lag_s = embedding.backlog.waiting(embedded), round(embedding.backlog.lag_s(embedded), 3)
    if model is None or index is None:
        state = "failing" if problem else "waiting"
        return Meaning(state, embedding.kind, backlog=waiting, lag_s=lag_s, problem=problem, hint=hint)
    return Meaning(
        state="failing" if problem or not embedding.usable else "mismatch" if embedding.mismatch else "ready",
        embedder=embedding.kind,
        model=model.name,
        dimension=model.dimension,
        fingerprint=model.fingerprint,
        arm=arm(embedding),
        vectors=len(index),
        problem=problem or embedding.mismatch,
        hint=hint or ("run `memoryctl reindex`" if embedding.mismatch else ""),
        backlog=waiting,
        lag_s=lag_s,
    )


def arm(embedding: Embedding) -> str:
    """How the nearest vectors are found."""
    if embedding.index is None:
        return ""
    if embedding.index.stored:
        return embedding.index.arm
    again = "NumPy" if embedding.engine.comparing else "sqlite-vec"
    return embedding.index.arm.replace("looked at again", f"looked at again ({again})")
