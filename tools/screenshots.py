"""Pictures of a report for the documentation, taken with headless Chromium.

    make demo
    python tools/screenshots.py demo-study docs/pictures

A picture shows one section of the page: the others are hidden in a copy, and the section's height is asked first, so
that the picture ends where the section does.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SECTIONS = {
    "in-short": 760,
    "contrasts": 500,
    "languages": 560,
    "transfer": 508,
    "answers": 540,
}
"""Section of the report -> its tallest picture in pixels; what is below is cut off."""
WIDTH = 1080
SCALE = 1.4
MAX_KB = 200
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--virtual-time-budget=8000",
)  # fmt: skip


def main() -> None:
    study, folder = Path(sys.argv[1]), Path(sys.argv[2])
    browser = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    if browser is None:
        sys.exit(f"Taking pictures needs one of {', '.join(BROWSERS)}. Install the package chromium.")
    page = (study / "report" / "index.html").read_text(encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        for section, tallest in SECTIONS.items():
            file = folder / f"{section}.png"
            take(browser, page, section, tallest=tallest, file=file, scratch=Path(scratch))
            size = file.stat().st_size / 1000
            print(f"{file}: {size:.0f} kB")
            if size > MAX_KB:
                sys.exit(f"{file} is larger than {MAX_KB} kB. Lower its height in SECTIONS.")


def take(browser: str, page: str, section: str, *, tallest: int, file: Path, scratch: Path) -> None:
    """One section as a PNG."""
    if f'id="{section}"' not in page:
        sys.exit(f"The report has no section '{section}'. Correct SECTIONS.")
    style = (
        f"<style>main section:not(#{section}), .sidebar, main > header, footer, .vega-embed details"
        " { display: none !important } .shell { display: block !important } main { margin: 0 auto !important;"
        " padding-top: 8px !important } section { border: 0 !important; margin: 0 !important;"
        " padding: 8px 0 !important }</style>"
    )
    measure = (
        "<script>addEventListener('load', () => {"
        f"document.querySelector('#{section} details:not(.vega-embed details)')?.setAttribute('open', '');"
        "document.documentElement.dataset.bottom ="
        f"Math.ceil(document.getElementById('{section}').getBoundingClientRect().bottom) }})</script>"
    )
    copy = scratch / f"{section}.html"
    copy.write_text(page.replace("</head>", f"{style}{measure}</head>", 1), encoding="utf-8")
    command = [browser, *OPTIONS, f"--user-data-dir={scratch / 'profile'}", f"--force-device-scale-factor={SCALE}"]
    seen = subprocess.run(
        [*command, f"--window-size={WIDTH},{tallest}", "--dump-dom", copy.as_uri()],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = re.search(r'data-bottom="(\d+)"', seen)
    height = min(tallest, int(found[1]) + 16) if found else tallest
    picture = [f"--window-size={WIDTH},{height}", f"--screenshot={file.resolve()}", copy.as_uri()]
    subprocess.run([*command, *picture], capture_output=True, check=True)


if __name__ == "__main__":
    main()
