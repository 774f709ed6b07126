"""Looks the versions of constraints.txt up in the database of known vulnerabilities, with pip-audit.

    python tools/audit.py [--timeout SECONDS]

Exit code 0: none is known, or they could not be checked (no network), which is said plainly; 1: some are known.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]


def audit(timeout_seconds: float, *, constraints: Path = ROOT / "constraints.txt") -> int:
    """Print what is known. Returns the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        found = Path(folder) / "found.json"
        command = [sys.executable, "-m", "pip_audit", "--progress-spinner", "off", "--no-deps", "--disable-pip"]
        command += ["--requirement", str(constraints), "--format", "json", "--output", str(found)]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=timeout_seconds, check=False)
        except subprocess.TimeoutExpired:
            return _not_checked(f"no answer within {timeout_seconds:.0f} s")
        if not found.is_file() or not found.stat().st_size:
            said = ended.stderr.strip().splitlines()
            return _not_checked(said[-1] if said else f"pip-audit ended with code {ended.returncode}")
        return _tell(json.loads(found.read_text(encoding="utf-8"))["dependencies"])


def _not_checked(why: str) -> int:
    print(f"audit: known vulnerabilities could not be checked: {why}")
    return 0


def _tell(dependencies: list[dict]) -> int:
    skipped = [one for one in dependencies if "skip_reason" in one]
    if len(skipped) == len(dependencies):
        return _not_checked(skipped[0]["skip_reason"] if skipped else "no package was named")
    if skipped:
        print(f"audit: could not be checked: {', '.join(one['name'] for one in skipped)}")
    known = [(one, fault) for one in dependencies for fault in one.get("vulns", ())]
    for one, fault in known:
        fixed = ", ".join(fault["fix_versions"]) or "no version yet"
        print(f"audit: {one['name']} {one['version']}: {fault['id']}, fixed in {fixed}")
    print(f"audit: {len(dependencies) - len(skipped)} packages checked, {len(known)} known vulnerabilities")
    return 1 if known else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds, default 300")
    sys.exit(audit(parser.parse_args().timeout))
