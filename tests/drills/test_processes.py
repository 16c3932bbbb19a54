"""A service of several processes: whichever of them is killed, nothing acknowledged is lost."""

from __future__ import annotations

import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from tests.asking import fetch, plain_client
from tests.drills.deployment import Deployment, wait_until
from tests.drills.load import Load
from tests.drills.processes import run
from tests.drills.test_kill import check_acknowledged, check_orders, check_receipts
from tests.drills.trade import CARRIER, SHOP, Trade, event, moment

MOVING_UNITS = 6
SEVERAL = {"suxin": 1, "suxin-ledger": 1, "suxin-worker": 1, "suxin-api": 2}


@pytest.fixture
def moving(market: Trade) -> Load:
    """A service of two answering processes and load for it, whatever the machine has."""
    market.place.env["SUXIN_PROCESSES"] = "2"
    market.place.serve()
    units = market.issue(SHOP, MOVING_UNITS)
    market.sell(SHOP, units)
    market.dispatch(SHOP, units)
    return Load(market, units)


def is_gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has buried yet has."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return True
    return told.rpartition(")")[2].split()[0] in "ZX"


def check_all(load: Load) -> None:
    place = load.trade.place
    check_acknowledged(load)
    assert set(load.repeat_unanswered()) <= {200, 201}
    check_receipts(load)
    check_orders(load)
    place.wait_published()
    code, told = place.audit()
    assert (code, told["findings"]) == (0, [])


def test_what_is_seen_of_the_processes(moving: Load):
    place = moving.trade.place
    assert {name: len(pids) for name, pids in place.processes.items()} == SEVERAL
    # Each of them answers for the service, whoever is asked.
    for _ in range(20):
        told = fetch(f"{place.url}/readyz").json()
        assert (told["status"], told["leads"]) == ("ready", True)


def test_a_burst_of_pages_is_shared_out_and_each_reader_gets_his_own(moving: Load):
    place, units = moving.trade.place, moving.moving
    headers = {"User-Agent": "Mozilla/5.0 (iPhone)", "Accept-Language": "zh-CN"}

    def look(unit: str) -> httpx.Response:
        return fetch(f"{place.url}/{unit}", headers=headers, timeout=30)

    asked = units * 8
    with ThreadPoolExecutor(len(asked)) as readers:
        pages = list(readers.map(look, asked))
    for unit, page in zip(asked, pages, strict=True):
        assert (page.status_code, unit.rpartition("/")[2] in page.text) == (200, True)
        assert page.headers["content-type"] == "text/html; charset=utf-8"
        assert page.cookies
    assert len({page.headers["x-request-id"] for page in pages}) == len(asked)


@pytest.mark.parametrize("killed", ["suxin", "suxin-ledger", "suxin-worker", "suxin-api"])
def test_whichever_process_is_killed_the_service_ends_and_loses_nothing(moving: Load, killed: str):
    place = moving.trade.place
    everyone = [pid for pids in place.processes.values() for pid in pids]
    with moving.running():
        wait_until(lambda: len(moving.acked) > 20, "the load has begun")
        os.kill(place.processes[killed][0], signal.SIGKILL)
        began = time.monotonic()
        code = place.ended()
        print(f"{killed}: ended after {time.monotonic() - began:.2f} s")
    assert code == (-9 if killed == "suxin" else 70)
    if killed != "suxin":
        (said,) = [line for line in place.log.read_text().splitlines() if "suxin:" in line]
        assert "was killed by signal 9" in said
        assert "Start it again" in said
    # Who was under way when the ledger died is told that nobody knows what came of it.
    assert all("503" in one for one in moving.unexpected), moving.unexpected
    wait_until(lambda: all(map(is_gone, everyone)), "every process is gone", timeout_s=30)
    began = time.monotonic()
    place.serve()
    print(f"served again after {time.monotonic() - began:.2f} s")
    check_all(moving)


def test_a_service_that_is_asked_to_end_answers_everybody_first(moving: Load):
    place = moving.trade.place
    everyone = [pid for pids in place.processes.values() for pid in pids]
    with moving.running():
        wait_until(lambda: len(moving.acked) > 20, "the load has begun")
        assert place.stop() == -signal.SIGTERM
    assert moving.unexpected == []
    wait_until(lambda: all(map(is_gone, everyone)), "every process is gone", timeout_s=30)
    place.serve()
    check_all(moving)


@pytest.mark.sqlite_only("its folder is locked; PostgreSQL lets several serve")
def test_a_second_service_is_refused_at_once_and_one_after_a_kill_is_not(moving: Load):
    place = moving.trade.place
    began = time.monotonic()
    assert place.suxin("serve", "--help").code == 0
    started = time.monotonic()  # to start a program is what takes long on a busy machine
    done = place.suxin("serve", "--port", "0")
    assert (done.code, "another process" in done.err) == (2, True)
    took = time.monotonic() - started - (started - began)
    assert took < 8, "one that lives is not waited for"
    assert place.kill() == -signal.SIGKILL
    place.serve()


def test_whoever_waits_for_the_log_is_answered_by_whichever_process(moving: Load):
    """The alarm clock of the loops is in another process than the request."""
    place = moving.trade.place
    token = moving.trade.keys[CARRIER]
    for wait in ("sequenced", "published") * 4:
        body = event(moving.moving[0], "transit", {"region": "440100"}, moment(minutes=1))
        with plain_client(base_url=place.url, timeout=30) as client:
            answer = client.post(
                f"/api/v1/events?wait={wait}",
                json=body,
                headers={"Authorization": f"Bearer {token}"},
            )
        assert answer.status_code == 201, answer.text
        assert answer.json()["status"] in (wait, "published")


def test_a_refusal_crosses_with_all_it_says(moving: Load):
    """Asked of two services on one database, of which one does everything in one process."""
    trade, place = moving.trade, moving.trade.place
    code, token = moving.moving[0], trade.keys[CARRIER]
    body = event(code, "signature", {"kind": "in_person"}, moment(minutes=1))
    wrong = [
        event(code, "dispatch", {"carrier": "顺丰", "to": "440100"}, moment(minutes=1)),
        event(f"{code[:-3]}AAA", "transit", {"region": "440100"}, moment(minutes=1)),
        body,  # once it is recorded
    ]
    trade.place.call("POST", "/api/v1/events", body, token=token, expect=201)

    def refused() -> list[object]:
        told = []
        for one in wrong:
            answer = place.call("POST", "/api/v1/events", one, token=token)
            problem = answer.json()
            problem.pop("instance", None)
            told.append((answer.status_code, answer.headers.get("retry-after"), problem))
        return told

    several = refused()
    assert all(status >= 400 for status, _, _ in several), several
    place.stop()
    place.env["SUXIN_PROCESSES"] = "1"
    place.serve()
    assert list(place.processes) == ["suxin"]
    assert refused() == several


def test_ctrl_c_ends_all_in_order_though_every_process_gets_it(moving: Load):
    place = moving.trade.place
    done: list[int] = []
    with moving.running():
        wait_until(lambda: len(moving.acked) > 5, "the load has begun")
        place.signal_all(signal.SIGINT)
        done.append(place.ended())
    assert done[0] not in (0, 70)
    assert "ended by itself" not in place.log.read_text()
    assert moving.unexpected == []
    place.serve()
    check_all(moving)


def test_one_process_does_everything_where_that_is_set(tmp_path):
    place = Deployment(tmp_path / "here", SUXIN_PROCESSES="1").init().serve()
    try:
        assert list(place.processes) == ["suxin"]
    finally:
        place.close()


def test_what_keeps_the_ledger_from_starting_is_said_as_by_one_process(tmp_path):
    place = Deployment(tmp_path / "here", SUXIN_PROCESSES="2").init()
    policy = tmp_path / "policy"
    policy.write_text("no policy at all\n")
    place.env["SUXIN_WITNESS_POLICY"] = str(policy)
    several = place.suxin("serve", "--port", "0")
    place.env["SUXIN_PROCESSES"] = "1"
    alone = run("serve", "--port", "0", cwd=place.folder, env=place.env)
    assert (several.code, several.err) == (alone.code, alone.err)
    assert several.code == 2
