"""How many tokens a text is: by tiktoken where it is installed with its data, else by an estimate that says so.

tiktoken fetches its data from the network when it is first used; a daemon does not, so it is used only where the data lies
in its cache already.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

__all__ = ["ESTIMATE", "counter", "estimated"]

ENCODING = "o200k_base"
_SOURCE = f"https://openaipublic.blob.core.windows.net/encodings/{ENCODING}.tiktoken"

ESTIMATE = "estimate: a token for 4 ASCII characters, for 2 others, and for each Chinese, Japanese or Korean one"

_WIDE = re.compile("[\u1100-\u11ff\u2e80-\ua4cf\uac00-\ud7af\uf900-\ufaff\uff00-\uffef\U0001f000-\U0003ffff]")


def estimated(text: str) -> int:
    """About how many tokens `text` is: more often too many than too few."""
    if text.isascii():
        return -(-len(text) // 4)
    wide = len(_WIDE.findall(text))
    plain = len(text.encode("ascii", "ignore"))
    return -(-plain // 4) + -(-(len(text) - plain - wide) // 2) + wide


@cache
def counter() -> tuple[Callable[[str], int], str]:
    """What counts tokens here, and what it calls itself."""
    if find_spec("tiktoken") is None or not _cached():
        return estimated, ESTIMATE
    encoding = import_module("tiktoken").get_encoding(ENCODING)
    return (lambda text: len(encoding.encode(text, disallowed_special=()))), f"tiktoken {ENCODING}"


def _cached() -> bool:
    """Whether tiktoken would find its data without the network."""
    folder = (
        os.environ.get("TIKTOKEN_CACHE_DIR")
        or os.environ.get("DATA_GYM_CACHE_DIR")
        or Path(tempfile.gettempdir()) / "data-gym-cache"
    )
    return (Path(folder) / hashlib.sha1(_SOURCE.encode()).hexdigest()).is_file()
