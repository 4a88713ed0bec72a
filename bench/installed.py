"""The package as its users have it: a wheel, installed into an environment of its own beside what it stands on.

A checkout is installed editable, and the finder that this takes costs every Python that starts in the environment some
milliseconds and a megabyte: fifty relays would pay for it fifty times.
"""

import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["installed"]

ROOT = Path(__file__).parents[1]


@contextmanager
def installed() -> Generator[tuple[Path, str]]:
    """The folder of its commands, and how it is installed; the running environment's own where no wheel can be made."""
    folder = Path(tempfile.mkdtemp(prefix="em-wheel-"))
    try:
        yield _made(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _made(folder: Path) -> tuple[Path, str]:
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    environment = folder / "environment"
    python = environment / "bin" / "python"
    try:
        # From a copy: setuptools leaves its own folders where it builds.
        shutil.copytree(
            ROOT, folder / "tree", ignore=shutil.ignore_patterns(".*", "build", "dist", "*.egg-info", "tests")
        )
        _run([*pip, "wheel", "--no-deps", "--wheel-dir", str(folder), str(folder / "tree")])
        (wheel,) = folder.glob("*.whl")
        _run([sys.executable, "-m", "venv", "--without-pip", str(environment)])
        (packages,) = (environment / "lib").glob("python3*/site-packages")
        # Only the path: `.pth` files that lie there, the editable finder's among them, are not read.
        (packages / "beside.pth").write_text(sysconfig.get_path("purelib") + "\n")
        _run([*pip, "--python", str(python), "install", "--no-deps", "--force-reinstall", str(wheel)])
    except (OSError, subprocess.CalledProcessError, ValueError) as problem:
        said = getattr(problem, "stderr", "") or str(problem)
        print(f"no wheel could be made, so the checkout is measured: {said.strip()[-300:]}", file=sys.stderr)
        return Path(sys.executable).parent, "checkout"
    return environment / "bin", "wheel"


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)
