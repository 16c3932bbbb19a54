"""`scripts/lighthouse`: what Lighthouse's phone, slow and on slow 4G, makes of a served demo's pages.

By the clock: the median of the runs and, where they differ, their span. For a quiet machine; what else is
busy is told by the load beside the table.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import Any

from tests.browser.doors import Demo, demo_served
from tests.drills.processes import ROOT

TOOL = ROOT / ".cache" / "lighthouse" / "node_modules" / "lighthouse" / "cli" / "index.js"
CATEGORIES = ("performance", "accessibility", "best-practices", "seo")
TIMES = 5
WAIT_S = 120
PAGES = (
    "/",
    "/scan",
    "/policy",
    "/zone",
    "/log",
    "/verify",
    "/privacy",
    "/ticket",
    "/sign-in",
    "/apply",
)


def pages_of(demo: Demo) -> list[str]:
    """Returns the paths that are gone through: a unit's, its product's and its seller's come first."""
    unit = demo.shown["intact"]
    with urllib.request.urlopen(unit) as answer:
        seller = re.search(r'href="(/credit/[^"?#]+)', answer.read().decode())
    assert seller, "a unit's page names its seller"
    path = unit.removeprefix(demo.url)
    return [path, re.sub(r"/21/.*", "", path), seller[1], *PAGES]


def look(url: str, work: Path) -> dict[str, int]:
    """Returns category -> points of 100 of one run. Raises RuntimeError if Lighthouse came to none."""
    out = work / "report.json"
    ended = subprocess.run(
        ["node", str(TOOL), url, "--output=json", f"--output-path={out}", "--quiet",
         "--chrome-flags=--headless=new --no-sandbox --disable-dev-shm-usage"],
        env={**os.environ, "CHROME_PATH": shutil.which("chromium") or ""},
        capture_output=True, text=True, timeout=WAIT_S, check=False,
    )  # fmt: skip
    report: dict[str, Any] = json.loads(out.read_text("utf-8")) if out.exists() else {}
    out.unlink(missing_ok=True)
    points = {name: report.get("categories", {}).get(name, {}).get("score") for name in CATEGORIES}
    if ended.returncode or None in points.values():
        raise RuntimeError(f"{url}: {report.get('runtimeError') or ended.stderr[-500:]}")
    return {name: round(100 * score) for name, score in points.items()}


def look_again(url: str, work: Path) -> dict[str, int]:
    """Does as `look`, once more where Chromium gave Lighthouse no trace (NO_NAVSTART, seen one run in 30)."""
    try:
        return look(url, work)
    except RuntimeError as error:
        print(f"once more: {error}", file=sys.stderr)
        return look(url, work)


def row(path: str, seen: list[dict[str, int]]) -> str:
    """Returns a table's row: the median of each category, the runs beside it where they differ."""
    cells = []
    for name in CATEGORIES:
        all_ = sorted(one[name] for one in seen)
        spread = "" if all_[0] == all_[-1] else f" ({', '.join(map(str, all_))})"
        cells.append(f"{statistics.median_low(all_)}{spread}")
    # A unit's number is made up anew with every demo.
    shown = re.sub(r"/21/.*", "/21/…", re.sub(r"(/credit/).*", r"\1{party}", path))
    return f"| `{shown}` | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/lighthouse", description=__doc__)
    parser.add_argument(
        "pages", nargs="*", help="paths, as /scan; none: a unit's page and all public ones"
    )
    parser.add_argument(
        "--times", type=int, default=TIMES, help="runs of each page (default: %(default)s)"
    )
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="suxin-lighthouse-") as name:
        work = Path(name)
        with demo_served(work) as demo:
            print(f"load before: {os.getloadavg()[0]:.1f}")
            print(f"| page | {' | '.join(CATEGORIES)} |\n|{'---|' * (len(CATEGORIES) + 1)}")
            for path in asked.pages or pages_of(demo):
                seen = []
                for turn in range(asked.times):
                    print(f"{path}  {turn + 1} of {asked.times}", file=sys.stderr)
                    seen.append(look_again(demo.url + path, work))
                print(row(path, seen), flush=True)
            print(f"load after: {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
