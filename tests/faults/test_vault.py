"""Every write step of the vault fails: what is sealed opens, what is erased is gone, nothing in between."""

from __future__ import annotations

import itertools
import os
import shutil
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from app.kit.errors import Fault
from app.ledger.vault import SealBroken
from app.oversight import reportstore
from app.oversight.reports import Reports, seal_place
from tests.faults.life import Life
from tests.faults.matters import Matter, with_writers
from tests.faults.steps import EMPTYING, failing
from tests.faults.tracing import CannotTrace
from tests.faults.victim import run_under
from tests.ledger.ledgers import PRODUCT, Ledger, check_log, submission

HOW = pytest.mark.parametrize("how", ["not persisted", "persisted"])
STRIDE = 1 if os.environ.get("SUXIN_DRILL") == "all" else 4


@HOW
def test_whatever_step_of_an_erasure_fails_it_is_done_or_can_be_repeated(
    ledger, how, tried, tmp_path
):
    life = Life(with_writers(ledger)).begin()
    files = tmp_path if ledger.database.dialect == "sqlite" else None
    hit, acknowledged, stood = [], 0, 0
    for number in itertools.count(1):
        ledger.clock.advance(1)
        matter = Matter.begin(life)
        ledger.publish()
        ledger.database.truncate_log()  # nothing is owed to any erasure before this one
        assert files is None or matter.is_on_disk(files)
        with failing(ledger.database, number, how) as fault:
            try:
                told = matter.erase(ledger)
            except (Fault, DBAPIError):
                told = []
        erased = matter.is_erased(ledger)
        assert erased or not told, "it was acknowledged and can be read"
        acknowledged, stood = acknowledged + bool(told), stood + (not erased)
        if erased and not told:
            ledger.database.empty_log()  # as the worker's round does
        assert not (erased and files and matter.is_on_disk(files)), "it is left on the disk"
        ledger.reopen()
        assert ledger.problems() == []  # before anybody repeats anything
        for answer in matter.erase(ledger):
            life.acknowledge(answer)
        assert matter.is_erased(ledger)
        assert not (files and matter.is_on_disk(files))
        assert {one.hash for one in told} <= {one.hash for one in life.acked.values()}
        life.settle()
        if fault.hit is None:
            break
        hit.append(fault.hit)
    assert "do_commit" in hit, hit
    assert "UPDATE sealed_section SET" in hit, hit
    assert (EMPTYING in hit) is (files is not None), hit
    assert acknowledged, "no erasure was ever acknowledged"
    assert stood, "no fault was ever in the way of one"
    tried(f"a write step of an erasure fails, {how}", ledger.database.dialect, len(hit))


@HOW
def test_whatever_step_of_sealing_fails_a_record_is_there_with_all_its_sections_or_not_at_all(
    ledger, how, tried
):
    life = Life(with_writers(ledger)).begin()
    hit = []
    for number in itertools.count(1):
        with failing(ledger.database, number, how) as fault:
            try:
                matter = Matter.begin(life)
            except AssertionError:  # its six parts are not there
                matter = None
        if fault.hit is None:
            break
        hit.append(fault.hit)
        # check_log counts every record; the audit opens every section and compares its commitment.
        check_log(ledger, records=len(life.acked))
        assert matter is None or not matter.is_erased(ledger)
    life.settle()
    assert "INSERT INTO sealed_section" in hit, hit
    tried(f"a write step of sealing fails, {how}", ledger.database.dialect, len(hit))


@HOW
def test_whatever_step_of_a_report_fails_it_opens_or_is_gone(ledger, how, tried, tmp_path):
    """What was reported stands in no record: vault and row are all there is of it."""
    files = tmp_path if ledger.database.dialect == "sqlite" else None
    hit = []
    for number in itertools.count(1):
        reports = Reports(
            ledger.database, clock=ledger.clock, vault=ledger.vault, ticket_key=bytes(32)
        )
        ledger.database.truncate_log()
        told = None
        with failing(ledger.database, number, how) as fault:
            try:
                told = reports.file_once(None, "a fake", None, id=str(number))[0]
                reports.erase(told, reports.query_code(told))
                gone = True
            except Exception:  # whatever failed, what stands is judged below
                gone = False
        ticket, is_new = reports.file_once(None, "a fake", None, id=str(number))
        assert told in (None, ticket)
        assert not (told and is_new), "an acknowledged report was lost"
        with ledger.database.read() as connection:
            row = reportstore.find_report(connection, ticket)
        kept = {bytes(row.sealed), bytes(row.wrapped_key)}
        if row.status == reportstore.ERASED:
            assert kept == {b""}
        else:
            assert not gone, "it was acknowledged and can be read"
            assert opens(ledger, ticket, row)
        reports.erase(ticket, reports.query_code(ticket))
        assert files is None or not any(part and part in on_disk(files) for part in kept)
        ledger.reopen()
        if fault.hit is None:
            break
        hit.append(fault.hit)
    assert hit.count("do_commit") == 2, hit
    tried(f"a write step of a sealed report fails, {how}", ledger.database.dialect, len(hit))


def opens(ledger: Ledger, ticket: str, row) -> bool:
    try:
        ledger.vault.open(
            place=seal_place(ticket), sealed=bytes(row.sealed), wrapped_key=bytes(row.wrapped_key)
        )
    except SealBroken:
        return False
    return True


def on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.glob("suxin.db*"))


@pytest.mark.parametrize("inject", ["signal=KILL", "error=EIO"], ids=["kill -9", "EIO"])
def test_no_system_call_that_fails_leaves_an_erasure_half_done(
    sqlite_database_url, tmp_path, tmp_path_factory, inject, tried
):
    begun = Life(with_writers(Ledger(sqlite_database_url, tmp_path / "keys"))).begin()
    matter = Matter.begin(begun)
    begun.ledger.publish()
    begun.ledger.database.truncate_log()
    begun.ledger.close()
    places, told = 0, set()
    for call in ("pwrite64", "fdatasync", "ftruncate"):
        for number in itertools.count(1, STRIDE if call == "pwrite64" else 1):
            folder = tmp_path_factory.mktemp("victim", numbered=True)
            shutil.copy(tmp_path / "suxin.db", folder)
            shutil.copytree(tmp_path / "keys", folder / "keys")
            url = f"sqlite:///{folder / 'suxin.db'}"
            try:
                ended = run_under(
                    url, folder / "keys", folder, call, f"{inject}:when={number}", erases=matter
                )
            except CannotTrace as err:
                pytest.skip(str(err))
            told.add(check_erasure(Ledger(url, folder / "keys"), matter, ended.told, folder))
            shutil.rmtree(folder)
            if not ended.hit:
                break
            places += 1
    assert places > (15 if STRIDE == 1 else 5), "nothing was tried"
    assert told == {"erased", "there"}, "no fault came before the commit, or none after it"
    what = "kill -9" if "KILL" in inject else "EIO"
    tried(f"{what} at a system call of an erasure", "sqlite", places)


def check_erasure(ledger: Ledger, matter: Matter, told: list[dict[str, str]], folder: Path) -> str:
    """Returns what stands after a death: `erased`, which holds for good, or `there`, and it is repeated."""
    with_writers(ledger)
    ledger.database.empty_log()  # as the worker does at its start
    erased = matter.is_erased(ledger)
    assert erased or not told, "it was acknowledged and can be read"
    assert not (erased and matter.is_on_disk(folder)), "it is left on the disk"
    check_log(ledger)
    again = {one.hash.hex() for one in matter.erase(ledger)}
    assert {line["erasure"] for line in told} <= again
    assert matter.is_erased(ledger)
    assert not matter.is_on_disk(folder)
    ledger.record(submission(PRODUCT))
    ledger.publish()
    check_log(ledger)
    ledger.close()
    return "erased" if erased else "there"
