#!/usr/bin/env python3
"""The units under a real systemd: a machine that boots this one's root file system in a container, on an overlay that is thrown away.

    sudo tests/lab/run.py [--keep] [--environment .venv]

It boots with systemd-nspawn, installs the system units with `memoryctl install-service --system`, and tries what only systemd can
show: activation by the first connection, the watchdog, restarts under load, the backup's unit, another account's rights, reload,
uninstall. What each try found is printed; the exit code is 1 where one failed, and 77 where this machine cannot run the lab.
Nothing outside the overlay is changed, and the container has no network.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SKIPPED = 77
BOOT_S = 900


def lacking() -> str:
    """Why the lab cannot be run here; empty where it can."""
    if os.getuid() != 0:
        return "it needs root"
    for program in ("systemd-nspawn", "systemctl", "mount"):
        if shutil.which(program) is None:
            return f"{program} is not here (Debian: apt-get install systemd-container)"
    return ""


def lay_out(top: Path, environment: Path) -> None:
    """Put an installation and the tries into the overlay. The interpreter goes beneath /opt: a system unit sees no home."""
    site = next((environment / "lib").glob("python3.*/site-packages"))
    python = Path(os.path.realpath(environment / "bin" / "python"))
    home = python.parents[1]
    place = top / "opt" / "enhanced-memory"
    (place / "bin").mkdir(parents=True)
    (top / "opt" / "python").mkdir()
    subprocess.run(["mount", "--bind", home, top / "opt" / "python"], check=True)
    (place / "lib" / site.parent.name).mkdir(parents=True)
    (place / "lib" / site.parent.name / "site-packages").symlink_to(site)
    (place / "pyvenv.cfg").write_text("home = /opt/python/bin\ninclude-system-site-packages = false\n")
    (place / "bin" / "python").symlink_to(f"/opt/python/bin/{python.name}")
    for name in ("memory-db", "memory-mcp", "memoryctl"):
        script = (environment / "bin" / name).read_text().splitlines(keepends=True)
        (place / "bin" / name).write_text("".join(["#!/opt/enhanced-memory/bin/python\n", *script[1:]]))
        (place / "bin" / name).chmod(0o755)
    shutil.copy(ROOT / "scripts" / "backup_memory.sh", place / "bin")
    (top / "lab").mkdir()
    for name in ("inside.sh", "load.py", "fill.py"):
        shutil.copy(HERE / name, top / "lab")
    units = top / "etc" / "systemd" / "system"
    units.mkdir(parents=True, exist_ok=True)
    (units / "lab.target").write_text(
        "[Unit]\nRequires=basic.target\nAfter=basic.target\nWants=lab.service\nAllowIsolate=yes\n"
    )
    (units / "lab.service").write_text(
        "[Unit]\nAfter=basic.target\n[Service]\nType=oneshot\nExecStart=/bin/bash /lab/inside.sh\nTimeoutStartSec=infinity\n"
        "ExecStopPost=/bin/systemctl poweroff --force --force\n"
    )
    for name in ("systemd-networkd", "systemd-resolved", "systemd-timesyncd", "ssh", "cron"):
        (units / f"{name}.service").unlink(missing_ok=True)
        (units / f"{name}.service").symlink_to("/dev/null")


def boot(top: Path) -> tuple[str, list[dict[str, str]]]:
    """Boot it and wait for its end; the console's text, and what each try found."""
    ran = subprocess.run(
        [
            "systemd-nspawn", "--quiet", "-D", str(top), "--register=no", "--keep-unit", "--private-network", "--boot",
            "systemd.unit=lab.target", "systemd.log_target=console",
        ],
        env={**os.environ, "SYSTEMD_SECCOMP": "0"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=BOOT_S,
        check=False,
    )  # fmt: skip
    report = top / "lab" / "report.jsonl"
    lines = report.read_text().splitlines() if report.exists() else []
    return ran.stdout + ran.stderr, [json.loads(line) for line in lines]


def main() -> int:
    """Run the lab."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--keep", action="store_true", help="leave the overlay where it is, and say where")
    parser.add_argument("--environment", type=Path, default=ROOT / ".venv", help="the virtual environment to try")
    given = parser.parse_args()
    why = lacking()
    if why:
        print(f"THE LAB IS NOT RUN: {why}", file=sys.stderr)
        return SKIPPED
    folder = Path(tempfile.mkdtemp(prefix="memory-lab-", dir="/tmp"))
    top = folder / "top"
    top.mkdir()
    mounted: list[Path] = []
    try:
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2g", "tmpfs", folder], check=True)
        mounted.append(folder)
        for name in ("top", "upper", "work"):
            (folder / name).mkdir()
        layers = f"lowerdir=/,upperdir={folder}/upper,workdir={folder}/work"
        done = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, top], capture_output=True, text=True)
        if done.returncode:
            print(f"THE LAB IS NOT RUN: no overlay can be mounted here: {done.stderr.strip()}", file=sys.stderr)
            return SKIPPED
        mounted.append(top)
        lay_out(top, given.environment.resolve())
        mounted.append(top / "opt" / "python")
        console, found = boot(top)
    finally:
        if not given.keep:
            for path in reversed(mounted):
                subprocess.run(["umount", "--lazy", path], check=False)
            shutil.rmtree(folder, ignore_errors=True)
    for one in found:
        print(f"{'ok   ' if one['ok'] == 'yes' else 'WRONG'} {one['what']}: {one['says']}")
    if not found or found[-1]["what"] != "end":
        print(console[-3000:], file=sys.stderr)
        print("THE LAB DID NOT COME TO ITS END", file=sys.stderr)
        return 1 if found else SKIPPED
    return 0 if all(one["ok"] == "yes" for one in found) else 1


if __name__ == "__main__":
    sys.exit(main())
