"""Bill of materials of the environment that runs this, in CycloneDX's JSON.

    python tools/sbom.py sbom.cdx.json

Made by cyclonedx-py. Added is the version, which pyproject.toml leaves to the package; left out are addresses of files
on this machine, so that the bill may be handed on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import crosslift

ROOT = Path(__file__).parents[1]


def write(path: Path) -> None:
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--output-reproducible"]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "--output-file", "-", sys.executable]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode:
        raise SystemExit(made.stderr)
    bill = json.loads(made.stdout)
    bill["metadata"]["component"]["version"] = crosslift.__version__
    for component in bill["components"]:
        references = component.get("externalReferences", [])
        component["externalReferences"] = [one for one in references if not one["url"].startswith("file:")]
    path.write_text(json.dumps(bill, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{path}: {len(bill['components'])} components, CycloneDX {bill['specVersion']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    write(parser.parse_args().path)
