"""The units under a real systemd, in a container that boots this machine's root file system (tests/lab/run.py).

It takes a minute or two and root, so it is run when asked for: `ENHANCED_MEMORY_LAB=1 pytest tests/test_systemd_lab.py`, or `make lab`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

LAB = Path(__file__).parent / "lab" / "run.py"
SKIPPED = 77


@pytest.mark.skipif(
    not os.environ.get("ENHANCED_MEMORY_LAB"), reason="THE SYSTEMD LAB IS NOT RUN: ENHANCED_MEMORY_LAB=1 runs it"
)
def test_the_units_do_under_a_real_systemd_what_they_say() -> None:
    ran = subprocess.run(
        [sys.executable, str(LAB), "--environment", sys.prefix],
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    if ran.returncode == SKIPPED:
        pytest.skip(ran.stderr.strip())
    assert ran.returncode == 0, ran.stdout + ran.stderr
