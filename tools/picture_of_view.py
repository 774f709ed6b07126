"""The picture of the page of a running study for the documentation, taken with headless Chromium.

crosslift new demo demo-study && crosslift run demo-study &
python tools/picture_of_view.py demo-study docs/pictures/view.png
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))

from browser import browser, find_browser
from live_study import served

WIDTH, HEIGHT = 1280, 1000


def main() -> None:
    study, file = Path(sys.argv[1]), Path(sys.argv[2])
    if find_browser() is None:
        sys.exit("Taking pictures needs Chromium. Install the package chromium.")
    with served(study) as server, tempfile.TemporaryDirectory() as scratch, browser(Path(scratch)) as chromium:
        page = chromium.page()
        page.resize(WIDTH, HEIGHT)
        page.open(server.address)
        page.wait(
            "document.querySelectorAll('#rows tr').length > 0 && document.querySelectorAll('#active .card').length > 0"
        )
        page.wait("!document.getElementById('connection').textContent.includes('being read')")
        page.value("document.getElementById('progress').scrollIntoView({ behavior: 'instant' })")
        page.picture(file)
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
