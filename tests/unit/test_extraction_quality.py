"""How often extraction is right on labelled excerpts, on the half that no rule was tuned on as well."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

BENCH = Path(__file__).parents[2] / "bench" / "extraction_quality.py"


@pytest.fixture(scope="module")
def quality() -> ModuleType:
    """The bench's own reading of the set."""
    spec = importlib.util.spec_from_file_location("extraction_quality", BENCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_the_set_is_large_enough_to_say_something(quality: ModuleType) -> None:
    excerpts = [one for half in quality.HALVES for one in quality.excerpts(half)]
    assert len(excerpts) >= 60
    assert sum(len(one.rows) for one in excerpts) >= 300


@pytest.mark.parametrize(
    "half",
    [
        "first.txt",
        "second.txt",
        "third.txt",
        "fourth.txt",
        "sixth.txt",
        "seventh.txt",
        "ninth.txt",
        "tenth.txt",
        "fourteenth.txt",
        "fifteenth.txt",
        "sixteenth.txt",
    ],
)
def test_nine_of_ten_facts_are_facts_and_four_of_five_are_found(quality: ModuleType, half: str) -> None:
    found = quality.judged(half)
    assert found.precision >= 0.9
    assert found.recall >= 0.8
    assert found.kind >= 0.9
    assert found.subject >= 0.85


@pytest.mark.parametrize("half", ["fifth.txt", "eighth.txt", "eleventh.txt", "twelfth.txt", "thirteenth.txt"])
def test_what_is_found_in_text_of_many_turns_is_right(quality: ModuleType, half: str) -> None:
    assert quality.judged(half).precision >= 0.9


@pytest.mark.parametrize("half", ["first.txt", "second.txt"])
def test_lines_with_a_keyword_are_no_match_for_it(quality: ModuleType, half: str) -> None:
    assert quality.by_keywords(half).precision < 0.6
