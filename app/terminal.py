"""What commands print: progress, the result of an audit, the report on a bundle."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from sqlalchemy.exc import DatabaseError
from typer.core import TyperGroup

from app.config import PREFIX, SettingsError
from app.i18n import Lang, in_words, text, worded
from app.kit.errors import Fault
from app.ledger.bundle_report import BundleReport
from app.ledger.bundle_steps import STEPS
from app.ledger.verifier import Problem
from app.trace.identifiers import parse_code


class Commands(TyperGroup):
    """The command and all below it: refuses a choice that there is not without words of a library."""

    def invoke(self, ctx: Any) -> Any:
        """Runs what was asked for."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as err:
            err.message = err.message.removeprefix("Value error, ")
            raise


OUT = Console(highlight=False, soft_wrap=True)
# Exit code of what should not have happened.
UNEXPECTED = 70

ERR = Console(stderr=True, highlight=False, soft_wrap=True)


@contextlib.contextmanager
def show_progress(what: str) -> Iterator[Callable[[int], None]]:
    """Yields a function to be told how much is done; draws only where somebody is looking."""
    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=ERR, transient=True, disable=not ERR.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done: bar.update(task, completed=done)


def stream_name(given: str) -> str:
    return given if given.startswith(("party/", "log/", "store/")) else parse_code(given).stream


def lowest(problems: list[Problem]) -> list[Problem]:
    """Returns the problems without those that another one explains: an alteration is told once."""
    seen: set[tuple[str | None, int | None]] = set()
    kept = []
    for problem in problems:
        place = (problem.stream, problem.seq)
        if problem.stream is None or place not in seen:
            kept.append(problem)
        seen.add(place)
    return kept


@contextlib.contextmanager
def ending_at_once(stop: Callable[[], None] = lambda: None) -> Iterator[None]:
    """Lets Ctrl-C end a command that only reads with one sentence, wherever it is.

    stop: ends what it has begun besides itself.

    As an exception it would meet cursors half read, and each would complain of the other.
    """

    def end(_number: int, _frame: object) -> None:
        stop()
        sys.stderr.write("\nsuxin: stopped; nothing was changed\n")
        sys.stderr.flush()
        os._exit(130)

    before = signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def print_audit(streams: int, records: int, problems: list[Problem], *, as_json: bool) -> None:
    if as_json:
        told_all = {
            "streams": streams,
            "records": records,
            "findings": findings_as_json(problems),
        }
        sys.stdout.write(json.dumps(told_all, ensure_ascii=False) + "\n")
        return
    print_problems(problems)
    counted = f"{say_count(streams, 'stream')}, {say_count(records, 'record')}"
    OUT.print(f"{counted}: {count_findings(problems)}")


def findings_as_json(problems: list[Problem]) -> list[dict[str, Any]]:
    """Returns problems as `--json` tells them: only the places that they have."""
    findings = []
    for problem in problems:
        told: dict[str, Any] = {
            "kind": problem.kind,
            "stream": problem.stream or "log",
            "detail": problem.detail,
        }
        if problem.seq is not None:
            told["seq"] = problem.seq
        if problem.leaf_index is not None:
            told["leaf_index"] = problem.leaf_index
        findings.append(told)
    return findings


def print_problems(problems: list[Problem]) -> None:
    for problem in problems:
        place = problem.stream or "log"
        at = "" if problem.seq is None else f" record {problem.seq}"
        if problem.stream is None and problem.leaf_index is not None:
            at = f" leaf {problem.leaf_index}"
        OUT.print(f"{problem.kind}  {place}{at}  {problem.detail}".rstrip(), markup=False)


def count_findings(problems: list[Problem]) -> str:
    if not problems:
        return "clean"
    return say_count(len(problems), "finding")


def say_count(count: int, thing: str, things: str = "") -> str:
    """Returns a count with its noun. things: the plural where it is not the noun with an s."""
    return f"{count} {thing if count == 1 else things or f'{thing}s'}"


def print_report(report: BundleReport, lang: Lang) -> None:
    """Prints the very lines that scripts/verify_bundle.py prints: a court may run both."""
    said = "\n".join(say_report(report, lang)) + "\n"
    sys.stdout.buffer.write(said.encode())  # whatever the terminal's encoding is
    sys.stdout.flush()


def say_report(report: BundleReport, lang: Lang) -> Iterator[str]:
    """Yields the report in lines: the verdict, whether the steps are all there, then each place."""
    yield text(lang, f"bundle.verdict_{report.verdict}")
    names = {step: text(lang, f"bundle.step_{step}") for step in STEPS}
    for key, steps in report.sum_up():
        quoted = [text(lang, "bundle.steps_quote", step=names[step]) for step in steps]
        yield text(lang, f"bundle.{key}", steps=text(lang, "bundle.steps_join").join(quoted))
    if report.subject:  # what cannot be read is about nothing that could be named
        yield report.subject
    if report.steps:
        yield from ("", text(lang, "bundle.heading_steps"))
    for one in report.steps or ():
        told = {**one.as_json(), "step": names[one.step]}
        yield f"  - {text(lang, f'bundle.step_is_{one.status}', **told)}"
    for part, remarks in (
        ("broken", report.broken),
        ("checked", report.checked),
        ("unchecked", report.unchecked),
        ("pending", report.pending),
    ):
        if remarks:
            yield from ("", text(lang, f"bundle.heading_{part}"))
        for remark in remarks:
            place = f"  [{remark.place}]" if part == "broken" and remark.place else ""
            yield f"  - {text(lang, f'bundle.{remark.key}', **remark.params)}{place}"


def asked_lang(given: Lang | None) -> Lang:
    """Returns the language that was asked for, else that of the terminal: Chinese or English."""
    terminal = os.environ.get("LC_ALL") or os.environ.get("LANG") or ""
    return given or ("zh" if terminal.startswith("zh") else "en")


def read_file(path: Path, lang: Lang) -> bytes:
    """Returns the bytes of a file that was named, or ends the command."""
    try:
        return path.read_bytes()
    except OSError as err:
        _fail_unread(err, str(path), lang)


def read_key(given: str, lang: Lang) -> str:
    """Returns the text of a key that was given itself, or as the file that holds it, or ends the command."""
    try:
        return Path(given).read_bytes().decode("utf-8", "replace")
    except OSError as err:
        # A vkey has two plus signs at least: what has fewer can only be a file.
        if given.count("+") > 1:
            return given
        _fail_unread(err, given, lang, missing="key_missing")


def _fail_unread(err: OSError, name: str, lang: Lang, *, missing: str = "file_missing") -> NoReturn:
    is_missing = isinstance(err, (FileNotFoundError, NotADirectoryError))
    key = missing if is_missing else "file_unreadable"
    fail(text(lang, f"bundle.{key}", name=name), code=2)


def sentence_of(fault: Fault) -> str:
    """Returns what a refusal says, in English."""
    try:
        said_of = in_words("en", fault.params) | worded("en", fault.params, fault.words)
        told = text("en", f"fault.{fault.key}", **said_of)
    except (KeyError, IndexError):
        return str(fault)
    fields = []
    for error in fault.errors:
        place = ".".join(map(str, error.loc))
        blanks = {"name": place, "expected": "…", "ought": "…", "got": "…"}
        said = blanks | in_words("en", error.params) | worded("en", error.params, error.words)
        fields.append(f"{place}: {text('en', f'field.{error.sentence or error.kind}', **said)}")
    return " ".join(fields) or told


def refusal_of(err: BaseException) -> tuple[str, int]:
    """Returns the one sentence that ends a command, and its exit code. UNEXPECTED: a bug of ours."""
    if isinstance(err, Fault):
        return sentence_of(err), 2
    if isinstance(err, SettingsError):
        return str(err), 2
    if isinstance(err, DatabaseError):
        return f"the database does not answer: {err.orig}", 2
    if isinstance(err, OSError):
        return f"{err.filename or 'the system'}: {err.strerror}", 2
    # Not 1, which says that an audit or a bundle was judged.
    sentence = (
        f"this should not have happened: {type(err).__name__}: {err}. "
        f"Please report it with what {PREFIX}LOG_LEVEL=debug shows"
    )
    return sentence, UNEXPECTED


def fail(sentence: str, *, code: int) -> NoReturn:
    """Ends the command with one sentence."""
    ERR.print(f"suxin: {sentence}", markup=False)
    raise SystemExit(code)
