"""`memoryctl run`, and `memory-mcp run` and `check` behind it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Ctl


def file(folder: Path, code: str) -> str:
    path = folder / "code.py"
    path.write_text(code)
    return str(path)


def test_a_file_is_run_over_the_memory(ctl: Ctl, home: Path) -> None:
    assert ctl("add", "Ada", "--type", "person", "likes tea").code == 0
    code = file(home, "print('looking')\nresult = [h['entity']['name'] for h in search_nodes('tea')['hits']]")
    ran = ctl("run", code)
    assert (ran.code, ran.out) == (0, 'looking\n[\n  "Ada"\n]\n')
    said = ctl("run", code, "--json").json
    assert (said["ok"], said["result"], said["stdout"]) == (True, ["Ada"], "looking\n")


def test_code_that_fails_says_where_and_the_exit_code_is_1(ctl: Ctl, home: Path) -> None:
    ran = ctl("run", file(home, "x = 1\nimport os"))
    assert ran.code == 1
    assert "NotAllowed in line 2" in ran.out


def test_grants_context_limits_and_space_reach_it(ctl: Ctl, home: Path) -> None:
    code = file(home, "result = create_entities([{'name': context['n'], 'type': 't'}])['space']")
    assert ctl("run", code, "--context", '{"n": "x"}').code == 1
    ran = ctl("run", code, "--context", '{"n": "x"}', "--grant", "change", "--space", "other", "--json")
    assert ran.json["result"] == "other"
    ran = ctl("run", file(home, "while True: pass"), "--limit", "seconds=0.3", "--json")
    assert ran.json["error"]["type"] == "TimeLimit"


@pytest.mark.parametrize(
    "words",
    [["--context", "{"], ["--grant", "root"], ["--limit", "seconds=x"], ["--limit", "patience=1"], ["--skill"]],
    ids=lambda words: " ".join(words),
)
def test_what_cannot_be_begun_is_refused(words: list[str], ctl: Ctl, home: Path) -> None:
    ran = ctl("run", file(home, "result = 1"), *words)
    assert ran.code == 4
    assert ran.err


def test_a_file_that_is_not_there_is_named(ctl: Ctl, home: Path) -> None:
    ran = ctl("run", str(home / "nothing.py"))
    assert ran.code == 4
    assert "nothing.py" in ran.err


def test_memory_mcp_runs_a_skill_and_code_from_standard_input(ctl: Ctl, home: Path) -> None:
    program = [sys.executable, "-m", "enhanced_memory.mcp_server", "run", "--json"]
    saved = "result = save_skill('double', \"result = context['n'] * 2\", parameters={'n': None})['action']"
    made = subprocess.run(
        [*program, "--grant", "change", "-"], input=saved.encode(), capture_output=True, check=False, timeout=60
    )
    assert json.loads(made.stdout)["result"] == "created", made.stderr
    ran = ctl("run", "double", "--skill", "--context", '{"n": 21}', "--json")
    assert ran.json["result"] == 42


def test_doctor_and_check_say_what_holds_code(ctl: Ctl, home: Path) -> None:
    [finding] = [each for each in ctl("doctor", "--json").json["findings"] if each["check"] == "sandbox"]
    program = [sys.executable, "-m", "enhanced_memory.mcp_server", "check", "--json"]
    told = json.loads(subprocess.run(program, capture_output=True, check=True, timeout=60).stdout)
    assert finding["says"].startswith(f"level {told['level']}: {', '.join(told['layers'])}")
    assert finding["state"] == ("ok" if told["level"] == "A" else "warning")


def test_where_it_is_switched_off_they_say_so(ctl: Ctl, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENHANCED_MEMORY_SANDBOX", "off")
    [finding] = [each for each in ctl("doctor", "--json").json["findings"] if each["check"] == "sandbox"]
    assert "switched off" in finding["says"]
    ran = ctl("run", file(home, "result = 1"))
    assert ran.code == 4
    assert "switched off" in ran.err
