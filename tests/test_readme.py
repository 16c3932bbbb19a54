"""The README's walk, run as it stands: what it shows is what the service says."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[1]
BIN = Path(sys.executable).parent

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What is new in every deployment; everything else must be as printed.
FRESH = (
    ("hash", re.compile(r"\b[0-9a-f]{64}\b")),
    ("time", re.compile(r"\b2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")),
    ("serial", re.compile(r"\b[2-9A-HJ-NP-Z]{13}\b")),
    ("n", re.compile(r"(?<=\bplace )\d+|\d+(?= streams, )|(?<= streams, )\d+")),
)


def section(heading: str) -> str:
    readme = (ROOT / "README.md").read_text("utf-8")
    _, _, rest = readme.partition(f"\n## {heading}\n")
    assert rest, f"README.md has no section {heading!r}"
    return rest.partition("\n## ")[0]


def blocks(heading: str) -> list[tuple[str, str]]:
    return [(kind, body) for kind, body in FENCE.findall(section(heading))]


def masked(printed: str) -> str:
    for name, pattern in FRESH:
        printed = pattern.sub(f"<{name}>", printed)
    return "\n".join(line.rstrip() for line in printed.strip().splitlines())


@contextmanager
def serving(folder: Path, port: int):
    """A fresh deployment served from `folder`, which looks like a checkout; yields its admin key."""
    for name in ("docs", "scripts"):
        (folder / name).symlink_to(ROOT / name)
    (folder / ".venv" / "bin").mkdir(parents=True)
    (folder / ".venv" / "bin" / "suxin").symlink_to(BIN / "suxin")
    plain = {name: value for name, value in os.environ.items() if not name.startswith("SUXIN_")}
    init = subprocess.run(
        [BIN / "suxin", "init", "--json"], cwd=folder, env=plain, capture_output=True, check=True
    )
    with (folder / "serve.log").open("w") as log:
        service = subprocess.Popen(
            [BIN / "suxin", "serve", "--port", str(port)], cwd=folder, env=plain, stderr=log
        )
        try:
            wait_until_ready(f"http://127.0.0.1:{port}/readyz", service)
            yield json.loads(init.stdout)["admin_key"]
        finally:
            service.terminate()
            service.wait(timeout=60)


def wait_until_ready(url: str, service: subprocess.Popen) -> None:
    for _ in range(600):
        assert service.poll() is None, "the service ended"
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the service is not ready after a minute")


def run_blocks(commands: list[str], folder: Path, *, port: int, admin: str) -> list[str]:
    """Returns what each block printed, all run by one shell, one after the other."""
    told = "set -u\n"
    for number, body in enumerate(commands):
        told += f"echo '<<<{number}>>>'\n{body}"
    for name, value in (("S", f"http://127.0.0.1:{port}"), ("ADMIN", admin)):
        told, found = re.subn(rf"^{name}=.*$", f"{name}={value}", told, flags=re.MULTILINE)
        assert found == 1, f"the walk sets {name} {found} times"
    done = subprocess.run(
        ["bash", "-c", told], cwd=folder, capture_output=True, text=True, check=False
    )
    assert not done.stderr, done.stderr
    return re.split(r"^<<<\d+>>>\n", done.stdout, flags=re.MULTILINE)[1:]


def test_the_walk_shows_the_order_list_that_it_reads():
    (shown,) = [body for kind, body in blocks("A walk") if kind == "csv"]
    assert shown == (ROOT / "docs" / "orders.csv").read_text("utf-8")


def test_git_knows_what_the_walk_writes():
    walk = "".join(body for kind, body in blocks("A walk") if kind == "sh")
    written = {
        "A-1001.json" if name == "$order.json" else name for name in re.findall(r" >(\S+)", walk)
    }
    assert {"log.key", "A-1001.json"} < written
    for name in sorted(written):
        asked = ["git", "check-ignore", "--quiet", "--no-index", name]
        assert subprocess.run(asked, cwd=ROOT, check=False).returncode == 0, name


def test_no_link_leads_nowhere():
    # The picture is made apart; everything else must be there.
    for page in (ROOT / "README.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text("utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.slow
def test_the_walk_prints_what_the_readme_says(tmp_path):
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    walk = [(kind, body) for kind, body in blocks("A walk") if kind in ("sh", "text")]
    commands = [body for kind, body in walk if kind == "sh"]
    assert len(commands) > 5
    port = free_port()
    with serving(tmp_path, port) as admin:
        printed = run_blocks(commands, tmp_path, port=port, admin=admin)
    expected = []
    for kind, body in walk:
        if kind == "sh":
            expected.append("")
        else:
            assert not expected[-1], "two outputs behind one block"
            expected[-1] = body
    assert [masked(text) for text in printed] == [masked(text) for text in expected]
