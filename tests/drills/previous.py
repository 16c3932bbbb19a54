"""The release before on a database that the present one has migrated, under load, until it is replaced.

`python -m tests.drills.previous [REV]` takes an earlier commit of this repository, by default the newest
whose migrations lack the newest one, into a worktree of its own, and lets it begin a deployment on a
throw-away PostgreSQL. While it serves under load, `suxin migrate` of the present code runs beside it; then
the present service starts beside it too, and at last it is stopped and the present one has the log. At
no moment may a request fail, or the log stand still; what was acknowledged is there by its receipt, and
audit and fsck are clean.

Both run with the packages that are installed. An earlier commit that needs others, or speaks another
API than the drill's load, stops it: it says at what.
"""

from __future__ import annotations

import argparse
import itertools
import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from app.db.schema import MIGRATIONS
from app.ledger.checkpoint import open_checkpoint
from app.ledger.note import parse_vkey
from tests.asking import plain_client
from tests.databases import DATABASES
from tests.drills.deployment import Deployment, wait_until
from tests.drills.leader import Pair
from tests.drills.load import Load
from tests.drills.processes import ROOT
from tests.drills.trade import GTIN, SHOP, Trade, api_path

# Of each of the two services: what both record of one unit at once is not the matter here.
MOVING_UNITS = 6
ORDER_EVERY_S = 2.0
# How long the log may go without a larger checkpoint while records come in all the time; on an idle
# machine it is a second.
STANDS_STILL_S = 20.0
_LOOK_EVERY_S = 0.05


class NoEarlier(Exception):
    """There is no earlier commit to run; the message says why, and what helps."""


def find_earlier(repository: Path = ROOT) -> str:
    """Returns the newest commit of the main line whose migrations lack the newest one. Raises NoEarlier."""
    versions = (repository / MIGRATIONS.relative_to(ROOT)).glob("versions/[0-9]*.py")
    newest = max(versions, key=lambda path: path.name).relative_to(repository)
    commits = _git(repository, "rev-list", "--first-parent", "HEAD").split()
    asked = "".join(f"{commit}:{newest}\n" for commit in commits)
    told = _git(repository, "cat-file", "--batch-check", given=asked).splitlines()
    for commit, line in zip(commits, told, strict=True):
        if line.endswith(" missing"):
            return commit
    hint = ""
    if _git(repository, "rev-parse", "--is-shallow-repository").strip() == "true":
        hint = ": this clone is shallow; `git fetch --unshallow` brings the rest"
    raise NoEarlier(f"No commit here is from before {newest.name}{hint}.")


@contextmanager
def checked_out(commit: str, folder: Path, repository: Path = ROOT) -> Iterator[Path]:
    """Yields a worktree of the commit, which is gone afterwards. Raises NoEarlier."""
    place = folder / "earlier"
    _git(repository, "worktree", "add", "--detach", "--quiet", str(place), commit)
    try:
        yield place
    finally:
        _git(repository, "worktree", "remove", "--force", str(place))


def _git(repository: Path, *arguments: str, given: str | None = None) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(repository), *arguments],
            input=given, capture_output=True, text=True, check=False,
        )  # fmt: skip
    except FileNotFoundError as err:
        raise NoEarlier("git is missing: it brings the earlier code.") from err
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or ["it said nothing"]
        raise NoEarlier(f"git {arguments[0]} brings no earlier code here: {said[-1]}")
    return done.stdout


@dataclass
class Looks:
    """Pages, answers and checkpoints of one service, looked at again and again."""

    place: Deployment
    unit: str
    asked: int = 0
    slowest_s: float = 0.0
    shown: dict[int, set[bytes]] = field(default_factory=dict)
    grew_at: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Looks until the block ends."""
        ending = threading.Event()
        thread = threading.Thread(target=self._look, args=(ending,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            ending.set()
            thread.join(60)
            assert not thread.is_alive()

    def stood_still_s(self, since: float) -> float:
        """Returns the longest time from then until now without a larger checkpoint."""
        moments = [since, *(at for at in self.grew_at if at > since), time.monotonic()]
        return max(later - earlier for earlier, later in itertools.pairwise(moments))

    def _look(self, ending: threading.Event) -> None:
        pages = [
            "/", f"/01/{GTIN}", f"/{self.unit}", f"/credit/{SHOP}", "/zone", "/readyz",
            f"{api_path(self.unit)}/verification", f"/api/v1/credit/{SHOP}", "/api/v1/search?q=端砚",
        ]  # fmt: skip
        vkey, largest = parse_vkey(self.place.vkey), 0
        with plain_client(base_url=self.place.url, timeout=30) as client:
            for page in itertools.cycle(pages):
                if ending.wait(_LOOK_EVERY_S):
                    return
                self._ask(client, page)
                answer = self._ask(client, "/log/checkpoint")
                if answer is None:
                    continue
                found = open_checkpoint(answer.text, [vkey], origin=vkey.name)
                self.shown.setdefault(found.size, set()).add(found.root)
                if found.size < largest:
                    self.wrong.append(f"a checkpoint of {found.size} after one of {largest}")
                if found.size > largest:
                    self.grew_at.append(time.monotonic())
                largest = found.size

    def _ask(self, client: httpx.Client, path: str) -> httpx.Response | None:
        begun = time.monotonic()
        try:
            answer = client.get(path)
        except httpx.TransportError as err:
            self.wrong.append(f"{path}: {err!r}")
            return None
        self.asked += 1
        self.slowest_s = max(self.slowest_s, time.monotonic() - begun)
        if answer.status_code != 200:
            self.wrong.append(f"{path}: {answer.status_code} {answer.text[:400]}")
            return None
        return answer


@dataclass(frozen=True)
class Told:
    """steps: revisions that were migrated. before, alone, beside, after: records acknowledged before the
    migration, by the earlier service alone after it, by both beside each other, and by the present one."""

    steps: list[str]
    migrated_s: float
    before: int
    alone: int
    beside: int
    after: int
    looked: int
    slowest_s: float
    still_s: float

    def __str__(self) -> str:
        return (
            f"migrated {', '.join(self.steps)} in {self.migrated_s:.2f} s beside the earlier service\n"
            f"acknowledged: {self.before} before, {self.alone} by the earlier service on the new schema, "
            f"{self.beside} by both beside each other, {self.after} by the present one\n"
            f"{self.looked} pages and answers, the slowest after {self.slowest_s:.2f} s; "
            f"never longer than {self.still_s:.2f} s without a larger checkpoint\n"
            "passed: no request failed, all that was acknowledged is there by its receipt, "
            "audit and fsck are clean"
        )


def run_drill(earlier_code: Path, folder: Path, *, load_s: float = 4.0) -> Told:
    """Lets it happen; returns what is worth telling. load_s: how long each of the stages lasts."""
    url = DATABASES.empty(folder, kind="postgresql")
    earlier = Deployment(folder / "market", database_url=url, code=earlier_code).init()
    present = earlier.beside("present")
    try:
        return _run(earlier, present, load_s)
    except AssertionError as err:
        for place in (earlier, present):
            if place.log.exists():
                err.add_note(f"{place.log.name}:\n{place.log.read_text('utf-8')[-20_000:]}")
        raise
    finally:
        earlier.close()
        present.close()
        DATABASES.drop(url)


def _run(earlier: Deployment, present: Deployment, load_s: float) -> Told:
    earlier.serve()
    earlier.vkey = present.vkey = earlier.call("GET", "/log/key", expect=200).text.strip()
    present.receipt_key = earlier.call("GET", "/log/receipt-key", expect=200).text.strip()
    trade = Trade(earlier).begin()
    (sold,) = trade.complete(SHOP, 1)
    moving = trade.issue(SHOP, 2 * MOVING_UNITS)
    trade.sell(SHOP, moving)
    trade.dispatch(SHOP, moving)
    earlier.wait_published()
    load = Load(trade, moving[:MOVING_UNITS], ORDER_EVERY_S)
    later = Load(trade.moved_to(present), moving[MOVING_UNITS:], ORDER_EVERY_S)
    looks, later_looks = Looks(earlier, sold), Looks(present, sold)
    with looks.going_on():
        with load.running():
            time.sleep(load_s)
            before, begun = len(load.acked), time.monotonic()
            done = present.suxin("migrate", "--json")
            migrated_s = time.monotonic() - begun
            assert (done.code, done.err) == (0, ""), done
            steps = [step["revision"] for step in json.loads(done.out)["steps"]]
            assert steps, "there was nothing to migrate"
            time.sleep(load_s)
            alone = len(load.acked) - before
            assert leads(earlier)
            present.serve()  # as on the next host, while the last one still has the release before
            together = len(load.acked)
            with later.running(), later_looks.going_on():
                time.sleep(load_s)
        met = len(later.acked)
        beside = len(load.acked) - together + met
        assert leads(earlier)
        still_s = looks.stood_still_s(begun)
    with later_looks.going_on(), later.running():
        began = time.monotonic()
        # In order, as whoever replaces it does: its lease is free then.
        assert earlier.stop() == -signal.SIGTERM
        wait_until(lambda: leads(present), "the present service leads")
        time.sleep(load_s)
        after = len(later.acked) - met
        still_s = max(still_s, later_looks.stood_still_s(began))
    present.wait_published()
    for one in (load, later):
        failed = [*one.unexpected, *one.put_off, *one.unanswered]
        assert not failed, f"{len(failed)} of the load failed: {failed[:3]}"
        assert all(_is_done(one.trade, present, order) for order in one.orders)
    wrong = looks.wrong + later_looks.wrong
    assert not wrong, f"{len(wrong)} looks failed: {wrong[:3]}"
    assert still_s < STANDS_STILL_S, f"no larger checkpoint for {still_s:.1f} s"
    # Under what the earlier one signed and what the present one did, one log.
    pair = Pair([present], later.trade, moving, acked=[*load.acked.values(), *later.acked.values()])
    for shown in (looks.shown, later_looks.shown):
        for size, roots in shown.items():
            pair.shown.setdefault(size, set()).update(roots)
    pair.check(present)
    return Told(
        steps, migrated_s, before, alone, beside, after,
        looks.asked + later_looks.asked, max(looks.slowest_s, later_looks.slowest_s), still_s,
    )  # fmt: skip


def leads(place: Deployment) -> bool:
    """Whether the service says that it leads. Fails where it is not ready."""
    return bool(place.get("/readyz")["leads"])


def _is_done(trade: Trade, place: Deployment, order: str) -> bool:
    path, token = f"/api/v1/batches/{order}", trade.keys[SHOP]
    wait_until(lambda: place.get(path, token=token)["status"] == "done", f"{order} is issued")
    return True


def main() -> None:
    parser = argparse.ArgumentParser(prog="scripts/drill previous", description=__doc__)
    parser.add_argument("rev", nargs="?", help="an earlier commit; the newest with an older schema")
    parser.add_argument("--seconds", type=float, default=4.0, help="of load in each of four stages")
    given = parser.parse_args()
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="suxin-drill-") as name:
        try:
            commit = given.rev or find_earlier()
            with checked_out(commit, Path(name)) as code:
                said = _git(code, "log", "-1", "--format=%h of %cs, %s").strip()
                print(f"the earlier service: {said}", flush=True)
                print(run_drill(code, Path(name), load_s=given.seconds), flush=True)
        except NoEarlier as err:
            sys.exit(str(err))
        finally:
            DATABASES.close()
    print(f"in {time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
