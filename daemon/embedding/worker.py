"""A process that holds a sentence-transformers model, so that the daemon need not: `python -m … MODEL`.

Frames as on the daemon's socket, on stdin and stdout. First it says `{ready: {name, dimension, fingerprint, backend}}` or
`{error, hint}`; then each `{texts, query}` is answered with `{vectors}` (float32, row by row) or `{error}`. It ends with its
stdin, and with the daemon, however that ends.
"""

import hashlib
import os
import sys
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from enhanced_memory.client.errors import Broken
from enhanced_memory.daemon import piped

__all__ = ["main", "serve"]

ONNX = "onnx/model.onnx"
"""Computed as torch computes it, in a fraction of the start; other files there are of another precision."""

TEXTS_AT_ONCE = 16

_NEEDED = (".json", ".txt", ".model", ".safetensors", ".bin")
_ASIDE = ("onnx", "openvino", ".git")


def main() -> None:
    """Load the model that the argument names and answer until nobody asks."""
    piped.end_with_parent()
    with suppress(OSError):  # within the daemon's unit no priority is changed
        os.nice(5)  # whoever writes or asks goes first
    serve(sys.argv[1])


def serve(named: str = "") -> None:
    """Load the model and answer on stdin and stdout until nobody asks. Without a name the first message says it: `{model, threads}`."""
    asked, say = piped.taken_over()
    if not named:
        first = next(asked, None)
        if first is None:
            return
        named, one = str(first["model"]), str(max(1, int(first["threads"])))
        os.environ |= dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), one)
        os.environ["TOKENIZERS_PARALLELISM"] = "false"
    try:
        model = _Model(named)
    except Broken as problem:
        say({"error": problem.message, "hint": problem.hint})
        sys.exit(1)
    say({"ready": model.told | {"pid": os.getpid()}})
    for ask in asked:
        try:
            say({"vectors": model.embed(ask["texts"], ask["query"])})
        except Exception as problem:  # whatever a model's own code raises is told, not died of
            say({"error": f"{type(problem).__name__}: {str(problem)[:300]}"})


class _Model:
    """A model that is loaded."""

    def __init__(self, named: str) -> None:
        """`Broken` where it cannot be had, and why."""
        folder = _folder(named)
        if find_spec("sentence_transformers") is None:
            raise Broken(
                "sentence-transformers is not installed.",
                "pip install 'enhanced-memory[semantic]', or set `embedder` to static",
            )
        backend = "onnx" if (folder / ONNX).is_file() and find_spec("onnxruntime") and find_spec("optimum") else "torch"
        hint = f"check the folder {folder}, or set `embedder` to another model or to static"
        try:
            library: Any = import_module("sentence_transformers")
            self._model: Any = library.SentenceTransformer(
                str(folder), backend=backend, device="cpu", local_files_only=True, trust_remote_code=False
            )
            probe = self._encode(["probe"], query=False)
        except Exception as problem:  # a broken file shows as anything
            raise Broken(
                f"The model {named} cannot be loaded: {type(problem).__name__}: {str(problem)[:300]}", hint
            ) from None
        if len(probe) != 1 or probe.shape[1] == 0:
            raise Broken(f"The model {named} gives vectors of shape {probe.shape}.", hint)
        self.told = {
            "name": "/".join(Path(named).parts[-2:]),
            "dimension": int(probe.shape[1]),
            "fingerprint": _fingerprint(folder),
            "backend": backend,
        }

    def embed(self, texts: list[str], query: bool) -> bytes:
        """The vectors' bytes. `Broken` where the model gives numbers that are none."""
        import numpy as np

        vectors = self._encode(texts, query)
        if not np.isfinite(vectors).all():
            raise Broken("The model gives NaN or infinity.")
        return np.ascontiguousarray(vectors, np.float32).tobytes()

    def _encode(self, texts: list[str], query: bool) -> Any:
        # Some models want to know what a text is for; those that do not treat both alike.
        encode = getattr(self._model, "encode_query" if query else "encode_document", self._model.encode)
        return encode(
            texts, batch_size=TEXTS_AT_ONCE, convert_to_numpy=True, normalize_embeddings=True, show_progress_bar=False
        )


def _folder(named: str) -> Path:
    """Where the model's files are. A hub's name is fetched unless it was before."""
    path = Path(named).expanduser()
    if path.is_dir():
        if not any((path / name).is_file() for name in ("modules.json", "config.json")):
            raise Broken(
                f"The folder {path} holds no model: neither modules.json nor config.json is in it.",
                "name the folder of a sentence-transformers model",
            )
        return path
    if path.exists() or named.startswith(("/", "~", ".")):
        raise Broken(f"There is no folder {path}.", "set `embedder` to a model's folder, a hub's name, static or none")
    if find_spec("huggingface_hub") is None:
        return path  # whatever is lacking is told with the library that would bring it
    try:
        hub: Any = import_module("huggingface_hub")
        return Path(hub.snapshot_download(named))
    except Exception as problem:  # network, names, rights: the library has an error for each
        raise Broken(
            f"The model {named} is not on this machine and cannot be fetched: {type(problem).__name__}: {str(problem)[:200]}",
            "check the name and the network, or set `embedder` to a folder",
        ) from None


def _fingerprint(folder: Path) -> str:
    """Hex SHA-256 of the names and contents of all files that decide a vector."""
    files = [
        path
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in _NEEDED and not {*path.relative_to(folder).parts[:-1]} & {*_ASIDE}
    ]
    if not any(path.suffix in (".safetensors", ".bin") for path in files):
        files += [path for path in (folder / ONNX,) if path.is_file()]
    seen = hashlib.sha256()
    for path in files:
        with open(path, "rb") as file:
            seen.update(f"{path.relative_to(folder)}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\0".encode())
    return seen.hexdigest()


if __name__ == "__main__":
    main()
