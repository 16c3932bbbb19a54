"""One service keeps its credit at another; either is killed at random, and the store is down half the time.

`python -m tests.drills.creditstore --entries 10000` says how it went; the suite runs a small one.
Afterwards: `suxin credit compare` finds both ledgers equal, the store holds each change exactly once as
a record of its chain, and `suxin audit` finds both deployments clean.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog

from app.config import Settings
from app.credit.service import NewEntry
from app.credit.steps import Step
from app.parties.identity import SYSTEM, uscc_check_digit
from app.rooms import close_rooms, open_rooms
from tests.databases import DATABASES
from tests.drills.deployment import Deployment, wait_until
from tests.ports import free_port

PARTIES = 20
NAME = "market"


@dataclass
class Drill:
    """Both deployments, and what happened to them."""

    ours: Deployment
    theirs: Deployment
    parties: list[str] = field(default_factory=list)
    kills: Counter[str] = field(default_factory=Counter)
    down_s: float = 0.0
    _theirs_port: int = field(default_factory=free_port)
    _ending: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> Drill:
        """Lets ours in at theirs, and registers the parties."""
        self.ours.env["SUXIN_CREDIT_STORE"] = f"http://127.0.0.1:{self._theirs_port}"
        self.ours.init()
        self.theirs.init()
        key = self.ours.suxin("credit", "key").out.strip()
        done = self.theirs.suxin("credit", "let-in", NAME, key)
        assert done.code == 0, done
        self.ours.serve()
        for n in range(PARTIES):
            first_17 = f"91441200MA4TE5{n:03}"
            party = first_17 + uscc_check_digit(first_17)
            body = {"uscc": party, "name": f"店铺{n}", "roles": ["merchant"]}
            self.ours.call("POST", "/api/v1/parties", body, token=self.ours.admin, expect=201)
            self.parties.append(party)
        return self

    def write(self, entries: int) -> None:
        """Writes so many changes into our ledger, beside the service, by eight hands at once."""
        # The drill's own process writes as a command does, so that a kill of the service stops none.
        settings = Settings(
            data_dir=self.ours.folder / "data", keys_dir=self.ours.keys_dir,
            database_url=self.ours.database_url, credit_store=self.ours.env["SUXIN_CREDIT_STORE"],
        )  # fmt: skip
        with structlog.testing.capture_logs():
            rooms = open_rooms(settings)
            try:
                with ThreadPoolExecutor(8) as hands:
                    for _ in hands.map(lambda n: self._write_one(rooms.credit, n), range(entries)):
                        pass
            finally:
                close_rooms(rooms)

    def _write_one(self, credit: Any, n: int) -> None:
        party = self.parties[n % PARTIES]
        rules = sorted(r.id for r in credit.policy.rules.values() if SYSTEM in r.entered_by)
        match n // PARTIES % 10:
            case 8:
                credit.hold(party, f"finding-{n}")
            case 9:
                # An entry of its own, then a step of its life: two changes, so every tenth is double.
                entry = self._enter(credit, party, rules[n % len(rules)], n)
                credit.records.take_step(entry, Step.WITHDRAW, more={"reason": "drill"})
            case _:
                self._enter(credit, party, rules[n % len(rules)], n)

    def _enter(self, credit: Any, party: str, rule: str, n: int) -> str:
        now = credit._clock.now()
        return credit.post(NewEntry(party, rule, f"drill-{n}", {"record": f"{n:064x}"}, now))

    # --- chaos ---------------------------------------------------------------------------------

    @contextmanager
    def chaos(self, dice: random.Random):
        """Kills both services at random moments until the block ends; theirs is away half the time."""
        works = [
            threading.Thread(target=self._kill_theirs, args=(random.Random(dice.random()),)),
            threading.Thread(target=self._kill_ours, args=(random.Random(dice.random()),)),
        ]
        failed: list[BaseException] = []
        self._failed = failed
        for work in works:
            work.start()
        try:
            yield
        finally:
            self._ending.set()
            for work in works:
                work.join(120)
        assert not failed, failed

    def _kill_theirs(self, dice: random.Random) -> None:
        try:
            up, away_s = False, 0.0
            while not self._ending.is_set():
                begun = time.monotonic()
                if up:
                    # There for about as long as it was away, which is mostly the time that it starts in.
                    self._ending.wait(away_s * dice.uniform(0.6, 1.4))
                    assert self.theirs.kill() == -9
                    self.kills["store"] += 1
                    up = False
                else:
                    self._ending.wait(dice.uniform(0.2, 1.5))
                    self.theirs.serve(port=self._theirs_port)
                    up = True
                    away_s = time.monotonic() - begun
                    self.down_s += away_s
            if not up:
                self.theirs.serve(port=self._theirs_port)
        except BaseException as err:
            self._failed.append(err)

    def _kill_ours(self, dice: random.Random) -> None:
        try:
            while not self._ending.wait(dice.uniform(0.5, 4.0)):
                assert self.ours.kill() == -9
                self.kills["sender"] += 1
                self.ours.serve()
        except BaseException as err:
            self._failed.append(err)

    # --- what must hold ------------------------------------------------------------------------

    def waiting(self) -> int:
        told = self.ours.get("/readyz")["credit_store"]
        assert told["dead"] == 0, told
        return told["waiting"]

    def check(self) -> int:
        """Returns how many changes there are, after both sides were found to hold the same."""
        for _ in range(5):
            wait_until(lambda: self.waiting() == 0, "everything has arrived", timeout_s=600)
            # Time brings changes of its own: nothing is compared while more may come.
            self.ours.stop()
            done = self.ours.suxin("credit", "compare", "--json")
            if done.code == 0:
                break
            self.ours.serve()
        assert done.code == 0, done
        told = json.loads(done.out)
        with self.ours.opened() as run:
            ours = {
                (name, seq, bytes(hash_).hex())
                for name, seq, hash_ in run(
                    "SELECT h.name, r.seq, r.hash FROM record r JOIN head h ON h.stream = r.stream "
                    "WHERE r.type IN "
                    "('credit_entry', 'credit_status', 'credit_hold', 'credit_hold_lifted')"
                )
            }
        with self.theirs.opened() as run:
            bodies = [bytes(body) for (body,) in run(
                "SELECT body FROM record WHERE type = 'store_received'"
            )]  # fmt: skip
        kept = [json.loads(body)["data"] for body in bodies]
        theirs = Counter((d["record"]["stream"], d["record"]["seq"], d["hash"]) for d in kept)
        assert set(theirs) == ours
        assert set(theirs.values()) == {1}, "each exactly once"
        assert told["equal"] == len(ours)
        for place in (self.ours, self.theirs):
            code, audited = place.audit()
            assert (code, audited["findings"]) == (0, [])
        return len(ours)


@contextmanager
def two_deployments(folder: Path):
    """Yields a deployment and the one that is its store."""
    made = [Deployment(folder / "ours"), Deployment(folder / "theirs")]
    try:
        yield Drill(*made).begin()
    finally:
        for place in made:
            place.close()
            DATABASES.drop(place.database_url)


def run_drill(drill: Drill, *, entries: int, dice: random.Random, least_kills: int = 0) -> str:
    """Returns what is worth telling, once everything held."""
    begun = time.monotonic()
    with drill.chaos(dice):
        drill.write(entries)
        written_s = time.monotonic() - begun
        wait_until(
            lambda: min(drill.kills["store"], drill.kills["sender"]) >= least_kills,
            "both were killed",
            timeout_s=120,
        )
        chaos_s = time.monotonic() - begun
    calm = time.monotonic()
    wait_until(lambda: drill.waiting() == 0, "everything has arrived", timeout_s=600)
    arrived_s = time.monotonic() - calm
    count = drill.check()
    return (
        f"{count} changes written in {written_s:.0f} s under {drill.kills['sender']} kills of the sender "
        f"and {drill.kills['store']} of the store, which was away {drill.down_s:.0f} of {chaos_s:.0f} s; "
        f"the last arrived {arrived_s:.1f} s after; both ledgers equal, each change once, both audits clean"
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/drill credit-store", description=__doc__)
    parser.add_argument("--entries", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=5, help="of each side, at least")
    parser.add_argument("--seed", type=int, default=20261125, help="of the moments")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="suxin-drill-") as name:
        try:
            with two_deployments(Path(name)) as drill:
                print(
                    run_drill(
                        drill,
                        entries=given.entries,
                        dice=random.Random(given.seed),
                        least_kills=given.kills,
                    )
                )
        finally:
            DATABASES.close()


if __name__ == "__main__":
    main()
