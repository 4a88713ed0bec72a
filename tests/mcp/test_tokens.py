"""Tokens: kept as digests in a file that is ours alone, shown once, looked up as the file has them now."""

import concurrent.futures
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from enhanced_memory.client.errors import Broken, Conflict, Denied, Invalid, NotFound, TooLarge
from enhanced_memory.mcp_server import tokens as module
from enhanced_memory.mcp_server.tokens import Tokens

BOTH = ["read", "write"]


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return Tokens(tmp_path / "house" / "memory.db")


def test_a_token_is_found_by_its_secret_alone(tokens: Tokens) -> None:
    secret = tokens.create("ada", BOTH, "home")
    found = tokens.find(secret)
    assert found is not None
    assert (found.name, found.scopes, found.space) == ("ada", ("read", "write"), "home")
    for wrong in ("", "em_", secret[:-1], secret + "x", secret.removeprefix("em_"), found.digest, "em_" + found.digest):
        assert tokens.find(wrong) is None


def test_the_file_holds_no_secret_and_is_ours_alone(tokens: Tokens) -> None:
    secret = tokens.create("ada", BOTH, "home")
    assert stat.S_IMODE(tokens.path.stat().st_mode) == 0o600
    text = tokens.path.read_text()
    assert secret not in text
    assert secret.removeprefix("em_") not in text
    for file in tokens.path.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_no_two_secrets_are_alike_and_each_has_256_bits(tokens: Tokens) -> None:
    secrets = {tokens.create(f"n{number}", ["read"], "s") for number in range(20)}
    assert len(secrets) == 20
    assert all(len(secret.removeprefix("em_")) == 43 for secret in secrets)


def test_another_process_sees_a_new_token_and_a_revoked_one_at_once(tokens: Tokens) -> None:
    server = Tokens(tokens.path.with_name("memory.db"))
    assert server.known() == {}
    secret = tokens.create("ada", ["read"], "s")
    assert server.find(secret) is not None
    tokens.revoke("ada")
    assert server.find(secret) is None


def test_a_name_made_anew_is_another_token(tokens: Tokens) -> None:
    first = tokens.create("ada", ["read"], "s")
    with pytest.raises(Conflict):
        tokens.create("ada", ["read"], "s")
    tokens.revoke("ada")
    second = tokens.create("ada", ["read"], "s")
    assert tokens.find(first) is None
    assert tokens.find(second) is not None
    with pytest.raises(NotFound):
        tokens.revoke("bob")


@pytest.mark.parametrize("name", ["", " ", "a b", "-a", "../x", "a/b", "a\nb", "é", "a" * 101])
def test_a_name_that_would_blur_provenance_is_refused(tokens: Tokens, name: str) -> None:
    with pytest.raises(Invalid):
        tokens.create(name, ["read"], "s")
    assert not tokens.path.exists()


@pytest.mark.parametrize("scopes", [[], [""], ["write"], ["admin"], ["read", "admin"], ["READ"], ["read", ""]])
def test_scopes_that_mean_nothing_are_refused(tokens: Tokens, scopes: list[str]) -> None:
    """Writing without reading too: the daemon could not enforce it."""
    with pytest.raises(Invalid):
        tokens.create("ada", scopes, "s")


@pytest.mark.parametrize("space", ["", "  ", "auto", "a\nb", "x" * 201])
def test_a_token_opens_one_space_that_has_a_name(tokens: Tokens, space: str) -> None:
    with pytest.raises(Invalid):
        tokens.create("ada", ["read"], space)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_that_others_may_touch_lets_nobody_in(tokens: Tokens, mode: int) -> None:
    secret = tokens.create("ada", ["read"], "s")
    tokens.path.chmod(mode)
    assert tokens.find(secret) is None
    with pytest.raises(Denied):
        tokens.all()
    with pytest.raises(Denied):
        tokens.create("bob", ["read"], "s")
    tokens.path.chmod(0o600)
    assert tokens.find(secret) is not None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"tokens": [{"name": 3}]}', '{"tokens": "x"}', "\0" * 2_000_000])
def test_a_torn_file_lets_nobody_in_and_is_not_written_over(tokens: Tokens, text: str) -> None:
    secret = tokens.create("ada", ["read"], "s")
    tokens.path.write_text(text)
    assert tokens.find(secret) is None
    with pytest.raises(Broken):
        tokens.create("bob", ["read"], "s")
    assert tokens.path.read_text() == text


def test_a_link_in_its_place_is_not_followed(tokens: Tokens, tmp_path: Path) -> None:
    secret = tokens.create("ada", ["read"], "s")
    elsewhere = tmp_path / "elsewhere"
    tokens.path.rename(elsewhere)
    tokens.path.symlink_to(elsewhere)
    assert tokens.find(secret) is None
    with pytest.raises(Denied):
        tokens.revoke("ada")
    fifo = Tokens(tmp_path / "fifo")
    os.mkfifo(fifo.path, 0o600)
    with pytest.raises(Denied):
        fifo.all()


def test_there_are_no_more_than_can_be_served(tokens: Tokens, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    tokens.create("a", ["read"], "s")
    tokens.create("b", ["read"], "s")
    with pytest.raises(TooLarge):
        tokens.create("c", ["read"], "s")


def test_tokens_made_at_the_same_time_are_all_kept(tokens: Tokens) -> None:
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda number: tokens.create(f"n{number}", ["read"], "s"), range(24)))
    assert len(tokens.all()) == 24
    assert all(tokens.find(secret) for secret in made)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "enhanced_memory.mcp_server", "token", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_command_shows_a_token_once_and_then_only_who_has_one(home: Path) -> None:
    made = run("create", "ada", "--scopes", "read,write", "--space", "Ada's")
    assert made.returncode == 0, made.stderr
    [secret] = made.stdout.splitlines()
    assert Tokens(home / "memory.db").find(secret) is not None
    listed = run("list")
    assert listed.stdout.split("\t")[:3] == ["ada", "read,write", "Ada's"]
    assert secret not in listed.stdout + listed.stderr
    assert json.loads((home / "memory.db.tokens").read_text())["tokens"][0]["digest"] not in listed.stdout
    assert run("revoke", "ada").returncode == 0
    assert run("list").stdout == ""


@pytest.mark.parametrize(
    "arguments",
    [("create", "ada", "--scopes", "all"), ("create", "a b", "--scopes", "read"), ("revoke", "nobody")],
)
def test_the_command_says_in_one_line_why_not(home: Path, arguments: tuple[str, ...]) -> None:
    ran = run(*arguments)
    assert (ran.returncode, ran.stdout) == (2, "")
    assert ran.stderr.startswith("memory-mcp: ")
    assert len(ran.stderr.splitlines()) == 1
