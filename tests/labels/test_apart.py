"""Large prints in a process of their own: the same bytes, less memory, and an end whoever dies first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from io import BytesIO
from itertools import count
from pathlib import Path

import pytest

from app.kit.errors import Fault, Invalid, Overloaded, Unavailable
from app.labels import apart
from app.labels.apart import PressFailed, write_apart
from app.labels.fonts import find_font
from app.labels.placing import SheetLabel
from app.labels.press import PrintJob, write_here
from tests.drills import deployment
from tests.labels.sheets import GTIN, NAME, label, labels
from tests.sentences import explain

ROOT = Path(__file__).resolve().parents[2]
BALLAST_MB = 300


def job(**more) -> PrintJob:
    settings = {"form": "pdf", "symbol": "qr", "inner_word": "刮开查验", "title": "溯信"} | more
    return PrintJob(font_path=settings.pop("font_path", find_font()), **settings)


def presses(parent: int = 0) -> list[int]:
    """Returns the presses that a process has started and that have not ended."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            command = (folder / "cmdline").read_bytes().split(b"\0")
            state = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # ended between two looks
            continue
        if b"app.labels.press" in command and int(state[1]) == (parent or os.getpid()):
            found.append(int(folder.name))
    return found


def refused(kind: type[Fault], given, wanted=None, **options) -> Fault:
    """Returns why a print was refused; nothing is written, and no press is left."""
    out = BytesIO()
    with pytest.raises(kind) as caught:
        write_apart(wanted or job(), given, out, **options)
    assert out.getvalue() == b""
    assert presses() == []
    assert explain(caught.value)
    return caught.value


def told_here(kind: type[Fault], given, wanted: PrintJob) -> Fault:
    with pytest.raises(kind) as caught:
        write_here(wanted, given, BytesIO())
    return caught.value


# ---------------------------------------------------------------- what is printed


@pytest.mark.parametrize(
    "wanted",
    [
        {"offset": 5},
        {"layout": "a4-5x13", "symbol": "datamatrix", "lang": "en"},
        {"form": "zpl", "layout": "roll-60x40", "dpi": 300},
    ],
)
def test_the_bytes_the_report_and_the_progress_are_those_of_a_print_made_here(wanted):
    def given() -> Iterator[SheetLabel]:
        # A name that no font has in full, and a hidden code.
        made = (label(n, name=f"{NAME} 🐉", inner=f"K{n:06d}") for n in range(230))
        if wanted.get("symbol", "qr") == "qr":
            return made
        return (replace(one, content=f"(01){GTIN}(21)S{n:05d}") for n, one in enumerate(made))

    here, there = BytesIO(), BytesIO()
    told_by, told_apart = [], []
    report = write_here(job(**wanted), given(), here, progress=told_by.append)
    pressed = write_apart(job(**wanted), given(), there, progress=told_apart.append)
    assert there.getvalue() == here.getvalue()
    assert pressed.report == report
    assert report.replaced == ("🐉",)
    assert told_apart == told_by
    assert told_by[-1] == 230
    assert presses() == []


def test_a_font_beside_the_caller_is_found(tmp_path, monkeypatch):
    (tmp_path / "own.ttc").symlink_to(find_font())
    monkeypatch.chdir(tmp_path)
    out = BytesIO()
    write_apart(job(font_path=Path("own.ttc")), labels(1), out)
    assert out.getvalue().startswith(b"%PDF")


@pytest.mark.parametrize(
    ("kind", "given", "wanted"),
    [
        (Invalid, list, {}),
        (Invalid, lambda: [*labels(150), SheetLabel("https://t.cn/批", NAME, ())], {}),
        (
            Invalid,
            lambda: [SheetLabel("HTTPS://T.CN/" + "A" * 250, NAME, ())],
            {"layout": "a4-5x13"},
        ),
        (Unavailable, lambda: labels(1), {"font_path": Path("/none.ttf")}),
        (Unavailable, lambda: labels(1), {"font_path": Path(__file__)}),
    ],
)
def test_a_refusal_is_the_one_that_a_print_made_here_meets(kind, given, wanted):
    there = refused(kind, given(), job(**wanted))
    here = told_here(kind, given(), job(**wanted))
    assert (there.slug, there.key, there.errors) == (here.slug, here.key, here.errors)
    assert there.params == here.params
    assert explain(there) == explain(here)


# ---------------------------------------------------------------- what it costs


def test_a_press_has_labels_in_memory_and_neither_the_service_nor_its_caller():
    code = "import sys, app.labels.press; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    ours = {name for name in loaded if name.startswith("app.")}
    assert {name.split(".")[1] for name in ours} == {"kit", "labels"}
    assert not loaded & {"sqlalchemy", "fastapi", "cryptography", "biip", "structlog", "pydantic"}
    ballast = b"x" * (BALLAST_MB * 10**6)
    pressed = write_apart(job(), labels(500), BytesIO())
    assert len(ballast) == BALLAST_MB * 10**6
    assert 20 < pressed.peak_mb < 80


@pytest.mark.slow
def test_ten_thousand_labels_of_the_largest_print_need_less_than_150_mb():
    # A roll has a page a label, and is by far the largest of all that is printed.
    pressed = write_apart(job(layout="roll-60x40"), map(label, range(10_000)), BytesIO())
    assert pressed.report.pages == 10_000
    assert pressed.peak_mb < 150


# ---------------------------------------------------------------- ends


def at(page: int, act: Callable[[], object]) -> Callable[[int], None]:
    """Returns what acts once so many pages are done: the press gets no further than its first part."""
    pages = count(1)

    def progress(_done: int) -> None:
        if next(pages) == page:
            act()

    return progress


def test_a_press_that_is_killed_is_told_as_a_print_that_was_not_made():
    def kill() -> None:
        (pid,) = presses()
        os.kill(pid, signal.SIGKILL)

    fault = refused(PressFailed, labels(3000), progress=at(3, kill))
    assert (fault.slug, fault.key) == ("unavailable", "press_failed")
    assert fault.retry_after_s


def test_a_press_that_hangs_is_ended():
    def stop() -> None:
        (pid,) = presses()
        os.kill(pid, signal.SIGSTOP)

    fault = refused(PressFailed, labels(3000), progress=at(3, stop), silence_s=3.0)
    assert fault.key == "press_failed"


def test_a_process_that_cannot_be_started_is_no_print(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/none/python")
    assert refused(PressFailed, labels(1)).key == "press_failed"


@pytest.mark.parametrize("by", ["labels", "progress"])
def test_what_stops_the_caller_stops_the_press(by):
    def broken() -> Iterator[SheetLabel]:
        yield from labels(500)
        raise KeyboardInterrupt

    def stop() -> None:
        raise KeyboardInterrupt

    given = broken() if by == "labels" else labels(3000)
    out = BytesIO()
    with pytest.raises(KeyboardInterrupt):
        write_apart(job(), given, out, progress=at(2, stop) if by == "progress" else None)
    assert out.getvalue() == b""
    assert presses() == []


def test_a_mistake_of_ours_is_no_refusal_and_leaves_its_traceback(capfd):
    wrong = SheetLabel("HTTPS://T.CN/1", NAME, (("a", "1"),) * 9)
    out = BytesIO()
    with pytest.raises(RuntimeError, match="code 1"):
        write_apart(job(), [wrong], out)
    assert out.getvalue() == b""
    assert "ValueError" in capfd.readouterr().err


def test_a_press_ends_soon_after_whoever_wanted_the_print_was_killed(tmp_path):
    code = (
        "import itertools, sys\n"
        "from app.labels.apart import write_apart\n"
        "from tests.labels.sheets import label\n"
        "from tests.labels.test_apart import job\n"
        "say = lambda done: print(done, flush=True)\n"
        "write_apart(job(), map(label, itertools.count()), sys.stdout.buffer, progress=say)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    ) as caller:
        assert caller.stdout is not None
        assert caller.stdout.readline() == b"24\n"
        (pid,) = presses(caller.pid)
        caller.kill()
        _, complaints = caller.communicate(timeout=60)
    # By its module: whoever holds a part of that runs on PostgreSQL too, and labels know no database.
    deployment.wait_until(
        lambda: not Path(f"/proc/{pid}").exists(), "the press has ended", timeout_s=30
    )
    assert complaints == b"", "it says nothing to nobody"
    assert list(tmp_path.iterdir()) == []


def test_two_print_at_once_and_the_third_is_told_to_wait(monkeypatch):
    monkeypatch.setattr(apart, "_PATIENCE_S", 0.05)
    told: list[str] = []

    def within(_done: int) -> None:
        if not told:
            told.append("second")
            write_apart(job(), labels(1), BytesIO(), progress=third)

    def third(_done: int) -> None:
        with pytest.raises(Overloaded) as busy:
            write_apart(job(), labels(1), BytesIO())
        assert explain(busy.value)
        told.append(busy.value.key)

    for _ in range(2):  # the turns are given back
        told.clear()
        write_apart(job(), labels(1), BytesIO(), progress=within)
        assert told == ["second", "press_busy"]
