"""Stands in for sentence-transformers where the test is of what is around a model: words hashed into a few dimensions.

A model's folder says its dimension (`config.json`), and what it does wrong just now (`fault`, read each time).
"""

import json
import os
import time
import zlib
from pathlib import Path

import numpy as np


class SentenceTransformer:
    def __init__(self, path, backend="torch", **_):
        self.folder = Path(path)
        self.dimension = json.loads((self.folder / "config.json").read_text())["dimension"]
        print("what a library prints is no answer")
        self._err("load")
        (self.folder / "backend").write_text(backend)

    def _err(self, when):
        fault = self.folder / "fault"
        said = fault.read_text() if fault.exists() else ""
        if said == f"{when} crash":
            os._exit(9)
        if said == f"{when} hang":
            time.sleep(600)
        if said == f"{when} error":
            raise RuntimeError("this model is broken")
        return said

    def encode(self, texts, **_):
        said = self._err("encode") if texts != ["probe"] else ""
        found = np.zeros((len(texts), self.dimension), np.float32)
        for row, text in zip(found, texts, strict=True):
            for word in text.lower().replace(":", " ").split():
                row[zlib.crc32(word.encode()) % self.dimension] += 1
        found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
        if said == "encode nan":
            found[:] = np.nan
        if said == "encode short":
            found = found[:, :-1]
        return found
