"""The public face is typed: pyright, in its strict mode, agrees with every `assert_type`, and needs every ignore."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(
    importlib.util.find_spec("pyright") is None, reason="pyright is not installed: it comes with the extra `dev`"
)
def test_a_type_checker_knows_what_each_call_answers(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "enhanced_memory").symlink_to(ROOT)
    (tmp_path / "public_face.py").write_text((ROOT / "tests" / "typing" / "public_face.py").read_text())
    rules = {
        "include": ["public_face.py"],
        "extraPaths": ["tree"],
        "pythonVersion": "3.11",
        "typeCheckingMode": "strict",
        "reportUnnecessaryTypeIgnoreComment": "error",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(rules))
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, "-p", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    found = json.loads(done.stdout)
    complaints = [f"{one['range']['start']['line'] + 1}: {one['message']}" for one in found["generalDiagnostics"]]
    assert (complaints, found["summary"]["filesAnalyzed"]) == ([], 1)
