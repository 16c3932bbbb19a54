"""Two services on one PostgreSQL under load; the leader is killed, or sleeps through its lease.

`python -m tests.drills.leader --times 20` kills the leader that many times on one deployment, lets it
sleep as often in between (`--pauses`), every other time with heads locked, and says how each round went; the
suite runs one of each. After
every round: whoever is left leads within the lease, `audit` and `fsck` are clean, what was acknowledged
is there and published by its receipt, and all checkpoints that anybody was ever shown are of one log.
"""

from __future__ import annotations

import argparse
import itertools
import math
import random
import signal
import tempfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import httpx

from app.ledger.checkpoint import open_checkpoint
from app.ledger.merkle import leaf_hash, root_of
from app.ledger.note import parse_vkey
from tests.asking import fetch, plain_client
from tests.databases import DATABASES
from tests.drills.deployment import Deployment, wait_until
from tests.drills.sessions import describe_sessions, stop_with_locks
from tests.drills.trade import CARRIER, SHOP, Trade, event, moment
from tests.faults.receipts import text_of

LEASE_S = 2
# What a machine that does many other things may keep a follower from running; the figure is told.
HELD_UP_S = 8.0
ANSWER_TIMEOUT_S = 4.0
MOVING_UNITS = 6
_WAYS = {
    "kill": "killed",
    "stop": "paused beyond its lease",
    "hold": "paused beyond its lease with heads locked",
}


@dataclass
class Pair:
    """Two processes of one deployment, what was acknowledged, and every checkpoint that was shown."""

    places: list[Deployment]
    trade: Trade
    moving: list[str]
    acked: list[dict[str, Any]] = field(default_factory=list)
    unanswered: list[dict[str, Any]] = field(default_factory=list)
    shown: dict[int, set[bytes]] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    _ending: threading.Event = field(default_factory=threading.Event)

    # --- who leads -----------------------------------------------------------------------------

    def leader(self) -> Deployment | None:
        """Returns the place that says it leads."""
        return next((place for place in self.places if self.leads(place)), None)

    def epoch(self) -> int:
        with self.places[0].opened() as run:
            ((epoch,),) = run("SELECT epoch FROM leader")
        return epoch

    def leads(self, place: Deployment) -> bool:
        try:
            answer = fetch(f"{place.url}/readyz", timeout=ANSWER_TIMEOUT_S)
        except httpx.TransportError:
            return False
        return answer.status_code == 200 and answer.json()["leads"]

    def has_anchor(self, place: Deployment) -> bool:
        """Whether one of its processes has the lock of the anchor, by the kernel's own list."""
        lock = f":{(place.keys_dir / 'anchor.lock').stat().st_ino}"
        held = [line.split() for line in Path("/proc/locks").read_text().splitlines()]
        owners = {int(one[4]) for one in held if one[1] == "FLOCK" and one[5].endswith(lock)}
        return not owners.isdisjoint(pid for pids in place.processes.values() for pid in pids)

    def describe(self) -> str:
        """Returns what each place says of itself, and which sessions wait, for what and for whom."""
        lines = []
        for place in self.places:
            try:
                answer = httpx.get(f"{place.url}/readyz", timeout=ANSWER_TIMEOUT_S, trust_env=False)
                lines.append(f"{place.log.name}: {answer.status_code} {answer.text}")
            except httpx.TransportError as err:
                lines.append(f"{place.log.name}: {err!r}")
        with self.places[0].opened() as run:
            return "\n".join([*lines, describe_sessions(run)])

    def other(self, place: Deployment) -> Deployment:
        return next(one for one in self.places if one is not place)

    # --- load ----------------------------------------------------------------------------------

    @contextmanager
    def under_load(self) -> Iterator[None]:
        """Posts to both and looks at both checkpoints until the block ends."""
        self._ending.clear()
        work: list[Callable[[], None]] = [
            *(lambda n=n: self._post(n) for n in range(4)),
            *(lambda place=place: self._watch(place) for place in self.places),
        ]
        threads = [threading.Thread(target=one, daemon=True) for one in work]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._ending.set()
            for thread in threads:
                thread.join(30)
            assert not any(thread.is_alive() for thread in threads)

    def _post(self, number: int) -> None:
        headers = {"Authorization": f"Bearer {self.trade.keys[CARRIER]}"}
        with plain_client(timeout=ANSWER_TIMEOUT_S, headers=headers) as client:
            for turn in itertools.count(number):
                if self._ending.is_set():
                    return
                code = self.moving[turn % len(self.moving)]
                body = event(code, "transit", {"region": "440300"}, moment(minutes=1))
                self._send(client, {**body, "id": str(uuid.uuid4())}, turn)

    def _send(self, client: httpx.Client, body: dict[str, Any], turn: int) -> None:
        """Sends an event to one process, and what got no answer to the other, under the same id."""
        for attempt in range(2):
            place = self.places[(turn + attempt) % 2]
            try:
                answer = client.post(f"{place.url}/api/v1/events", json=body)
            except httpx.TransportError:
                self._ending.wait(0.05)
                continue
            if answer.status_code in (200, 201):
                self.acked.append(answer.json())
                return
            if answer.status_code != 503:
                self.wrong.append(f"{answer.status_code} {answer.text}")
                return
        self.unanswered.append(body)

    def _watch(self, place: Deployment) -> None:
        """Keeps every checkpoint that a process shows; none may be smaller than the one before."""
        vkey = parse_vkey(self.places[0].vkey)
        last = 0
        with plain_client(timeout=ANSWER_TIMEOUT_S) as client:
            while not self._ending.wait(0.03):
                try:
                    answer = client.get(f"{place.url}/log/checkpoint")
                except httpx.TransportError:
                    continue
                if answer.status_code != 200:
                    continue
                found = open_checkpoint(answer.text, [vkey], origin=vkey.name)
                self.shown.setdefault(found.size, set()).add(found.root)
                if found.size < last:
                    self.wrong.append(f"{place.log.name} showed {found.size} after {last}")
                last = found.size

    # --- what must hold ------------------------------------------------------------------------

    def repeat_unanswered(self) -> None:
        place, token = self.leader() or self.places[0], self.trade.keys[CARRIER]
        for body in self.unanswered:
            answer = place.call("POST", "/api/v1/events", body, token=token)
            assert answer.status_code in (200, 201), answer.text
            self.acked.append(answer.json())
        self.unanswered.clear()

    def check(self, place: Deployment) -> None:
        """Asks `suxin audit` and `suxin log fsck`, and compares with what clients hold in their hands."""
        assert self.wrong == []
        code, told = place.audit()
        assert (code, told["findings"]) == (0, []), told
        done = place.suxin("log", "fsck", "--json")
        assert done.code == 0, done
        with place.opened() as run:
            rows = run("SELECT stream, seq, hash FROM record")
            leaves = run("SELECT hash FROM log_leaf ORDER BY leaf_index")
        stored = {bytes(hash_): seq for _, seq, hash_ in rows}
        entries = [bytes(entry) for (entry,) in leaves]
        # Everything was published before this was asked.
        vkey = parse_vkey(self.places[0].vkey)
        now = open_checkpoint(place.call("GET", "/log/checkpoint", expect=200).text, [vkey])
        self.shown.setdefault(now.size, set()).add(now.root)
        logged = set(entries[: now.size])
        for answer in self.acked:
            _, stream, seq, told, *_ = text_of(answer["receipt"], place.receipt_key)
            assert (stream, seq) == (answer["code"], str(answer["seq"]))
            hash_ = bytes.fromhex(told)
            assert stored.get(hash_) == answer["seq"], answer
            assert hash_ in logged, f"{stream}#{seq} is not in the published log"
        hashes = [leaf_hash(entry) for entry in entries]
        for size, roots in self.shown.items():
            assert roots == {root_of(hashes[:size])}, f"a checkpoint of {size} is of another log"


@contextmanager
def two_services(folder: Path) -> Iterator[Pair]:
    """Yields two services on one fresh PostgreSQL database, with goods that are on their way."""
    url = DATABASES.empty(folder, kind="postgresql")
    first = Deployment(folder, database_url=url, SUXIN_LEASE_S=str(LEASE_S)).init()
    second = first.beside("second")
    try:
        first.serve()
        second.serve()
        first.vkey = first.call("GET", "/log/key", expect=200).text.strip()
        for place in (first, second):
            place.receipt_key = place.call("GET", "/log/receipt-key", expect=200).text.strip()
        trade = Trade(first).begin()
        moving = trade.issue(SHOP, MOVING_UNITS)
        trade.sell(SHOP, moving)
        trade.dispatch(SHOP, moving)
        yield Pair([first, second], trade, moving)
    finally:
        first.close()
        second.close()
        DATABASES.drop(url)


@dataclass(frozen=True)
class Round:
    """took_s: from the kill or pause until another one had the lease. signed_s: until that one had signed
    what came since. in_the_way: it slept with the lock of the anchor in its hands, so that nobody could
    sign until it was woken."""

    how: str
    took_s: float
    signed_s: float
    acknowledged: int
    checkpoints: int
    in_the_way: bool

    def __str__(self) -> str:
        return (
            f"{self.how}: taken over after {self.took_s:.2f} s, signed on after {self.signed_s:.2f} s, "
            f"{self.acknowledged} acknowledged, "
            f"{self.checkpoints} checkpoints shown by now"
        ) + (", signing waited until it woke: it had the anchor's lock" if self.in_the_way else "")


def run_round(pair: Pair, how: str, moments: random.Random) -> Round:
    """Lets the leader die (`kill`) or sleep past its lease; returns what is worth telling.

    It falls asleep at any moment (`stop`), or at one at which it has heads locked (`hold`).
    """
    found: list[Deployment] = []

    def one_leads() -> bool:
        found[:] = [place for place in pair.places if pair.leads(place)]
        return len(found) == 1

    wait_until(one_leads, "one of them leads")
    (leader,) = found
    heir = pair.other(leader)
    before = len(pair.acked)
    in_the_way = False
    with pair.under_load():
        wait_until(lambda: len(pair.acked) > before + 20, "the load has begun")
        time.sleep(moments.uniform(0, 0.7))
        before_epoch = pair.epoch()
        try:
            begun = time.monotonic()
            if how == "kill":
                assert leader.kill() == -9
            elif how == "stop":
                leader.signal_all(signal.SIGSTOP)
            else:
                stop_with_locks(leader)
                begun = time.monotonic()
            took = wait_until(lambda: pair.epoch() > before_epoch, "another one has the lease")
            wait_until(lambda: pair.leads(heir), "it says that it leads")
            epoch = pair.epoch()
            size = max(pair.shown, default=0)
            told = "the log goes on under the other one"

            def goes_on() -> bool:
                return max(pair.shown) > size

            try:
                wait_until(lambda: goes_on() or (how != "kill" and pair.has_anchor(leader)), told)
            except AssertionError as err:
                # Before it is woken, or nobody ever knows what stood in the way.
                err.add_note(pair.describe())
                raise
            if not goes_on():
                # Its sleep began in the moment in which it alone may sign: nobody can before it goes on.
                in_the_way = True
                leader.signal_all(signal.SIGCONT)
                wait_until(goes_on, told)
            signed = time.monotonic() - begun
            if how != "kill":
                # Well past its lease, whenever the other one came.
                time.sleep(max(0.0, LEASE_S * 1.5 - (time.monotonic() - begun)))
        finally:
            if how != "kill":
                leader.signal_all(signal.SIGCONT)
        if how != "kill":
            time.sleep(LEASE_S / 2)  # it works on, as it believes
            # Unless it has taken the lease anew from one that this machine held up.
            assert not pair.leads(leader) or pair.epoch() > epoch, "it leads as if it never slept"
    assert took <= LEASE_S + HELD_UP_S, f"taken over after {took:.1f} s"
    if how == "kill":
        leader.serve()
    pair.repeat_unanswered()
    heir.wait_published()
    pair.check(heir)
    return Round(how, took, signed, len(pair.acked) - before, len(pair.shown), in_the_way)


@dataclass
class Told:
    """What the rounds of one way came to.

    signed_s: without those in which the one that slept had the anchor's lock.
    """

    took_s: list[float] = field(default_factory=list)
    signed_s: list[float] = field(default_factory=list)
    acknowledged: int = 0

    def line(self, how: str) -> str:
        took, signed = self.took_s, self.signed_s
        times = [min(took), median(took), max(took)]
        times += [median(signed), max(signed)] if signed else [math.nan] * 2
        told = " | ".join(f"{time_s:.2f}" for time_s in times)
        return f"| {how} | {len(took)} | {told} | {self.acknowledged} |"


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/drill leader", description=__doc__)
    parser.add_argument("--times", type=int, default=20, help="how often the leader is killed")
    parser.add_argument("--pauses", type=int, help="how often it sleeps; as often, if not given")
    parser.add_argument("--seed", type=int, default=20261125, help="of the moments")
    given = parser.parse_args()
    moments = random.Random(given.seed)
    pauses = given.times if given.pauses is None else given.pauses
    ways = itertools.islice(itertools.cycle(["stop", "hold"]), pauses)
    pairs = itertools.zip_longest(["kill"] * given.times, ways)
    rounds = [how for pair in pairs for how in pair if how is not None]
    told: dict[str, Told] = {}
    print(f"lease {LEASE_S} s; two services, one PostgreSQL", flush=True)
    with tempfile.TemporaryDirectory(prefix="suxin-drill-") as name:
        try:
            with two_services(Path(name, "market")) as pair:
                for number, how in enumerate(rounds, 1):
                    try:
                        done = run_round(pair, how, moments)
                    except AssertionError:
                        for place in pair.places:
                            print(
                                f"{place.log.name}:\n{place.log.read_text()[-40_000:]}", flush=True
                            )
                        raise
                    print(f"round {number} of {len(rounds)}: {done}", flush=True)
                    of = told.setdefault(how, Told())
                    of.took_s.append(done.took_s)
                    of.signed_s += [] if done.in_the_way else [done.signed_s]
                    of.acknowledged += done.acknowledged
                last = (
                    f"{len(pair.acked)} records acknowledged and all there by their receipts, "
                    f"{len(pair.shown)} checkpoints shown and none that disagree"
                )
        finally:
            DATABASES.close()
    print(
        "| leader | rounds | another led after, s: least | median | most "
        "| and had signed what came since after, s: median | most | acknowledged |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for how, of in told.items():
        print(of.line(_WAYS[how]))
    print(f"passed: {given.times} kills in a row, {pauses} pauses in between; {last}", flush=True)


if __name__ == "__main__":
    main()
