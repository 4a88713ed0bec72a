"""Code that tries to get past the language: every class of hole that RestrictedPython and its like have had, and bombs."""

import msgspec
import pytest

from .conftest import LIMITS, Run, snippets

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_there_are_enough_of_them() -> None:
    assert len(snippets("hostile.txt")) + len(snippets("bombs.txt")) >= 300


@pytest.mark.parametrize("code", snippets("hostile.txt"))
async def test_it_does_not_get_there(code: str, run: Run) -> None:
    ran = await run(code + "\nresult = 'ESCAPED'\n")
    assert not ran.ok
    assert ran.result is None
    assert ran.error is not None
    assert ran.error.type in (
        "NotAllowed", "SyntaxError", "AttributeError", "NameError", "TypeError", "KeyError", "AssertionError"
    ), ran.error  # fmt: skip
    assert "enhanced_memory" not in ran.error.message
    assert "/" not in ran.error.message.replace("and/or", "")


@pytest.mark.parametrize("code", snippets("bombs.txt"))
async def test_it_goes_off_inside(code: str, run: Run) -> None:
    """Whatever it takes or makes, there is an answer in time, a small one; and the sandbox serves on."""
    ran = await run(code)
    if ran.ok:
        assert ran.result is None, "a bomb that is none"
    else:
        assert ran.error is not None
        assert ran.error.message
        assert ran.error.type != "Violation", "an honest worker was taken for a liar"
    assert len(msgspec.json.encode(ran)) < 10_000
    assert LIMITS.seconds is not None
    assert ran.ms < (LIMITS.seconds + 1) * 1000


async def test_output_without_end_is_cut_and_the_code_ended(run: Run) -> None:
    ran = await run("while True:\n    print('x' * 1000)")
    assert ran.error is not None
    assert ran.error.type == "TimeLimit"
    assert ran.truncated
    assert len(ran.stdout) == 64 * 1024


async def test_what_was_printed_before_the_end_is_told(run: Run) -> None:
    ran = await run("print('one')\nwhile True:\n    pass")
    assert (ran.ok, ran.stdout, ran.truncated) == (False, "one\n", False)


async def test_output_in_tiny_pieces_is_kept_in_order(run: Run) -> None:
    ran = await run("for n in range(20000):\n    print(n % 10, end='')")
    assert ran.ok
    assert ran.stdout == "0123456789" * 2000


@pytest.mark.parametrize(
    ("opening", "middle", "closing"),
    [("(", "1", ")"), ("[", "", "]"), ("-", "1", ""), ("not ", "1", ""), ("lambda: ", "1", ""), ("f(", "1", ")"),
     ("x.", "y", ""), ("1+", "1", ""), ("{1:", "1", "}"), ("1 if ", "1", " else 1"), ("x[", "1", "]")],
    ids=lambda part: part.strip() or "nothing",
)  # fmt: skip
@pytest.mark.parametrize("depth", [10_000, 50_000])
async def test_nesting_is_refused_or_survived(opening: str, middle: str, closing: str, depth: int, run: Run) -> None:
    many = min(depth, 250_000 // (len(opening) + len(closing)))
    ran = await run(f"x = lambda: ({opening * many}{middle}{closing * many})")
    if not ran.ok:
        assert ran.error is not None
        assert ran.error.type in ("SyntaxError", "Crashed", "MemoryError", "RecursionError", "TimeLimit", "NotAllowed")


async def test_blocks_nested_deeply_are_refused(run: Run) -> None:
    ran = await run("".join("  " * depth + "if 1:\n" for depth in range(150)) + "  " * 150 + "pass")
    assert ran.error is not None
    assert ran.error.type == "SyntaxError"


async def test_addresses_are_not_told(run: Run) -> None:
    ran = await run("print(len, search_nodes, lambda: 1)\nraise ValueError(repr(lambda: 1))")
    assert ran.error is not None
    assert "0x" not in ran.stdout + ran.error.message
