"""Work that is measured in a process of its own, because its memory is counted.

    python -m app.bench.alone audit FOLDER
    python -m app.bench.alone issue FOLDER COUNT
    python -m app.bench.alone sheet FILE COUNT

Says one line of JSON on standard output.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from pathlib import Path

from app.bench.bare import hash_all
from app.bench.figures import peak_memory_mb
from app.bench.market import Market, opened, settings_in
from app.labels.fonts import find_font
from app.labels.sheet import SheetLabel, write_a4_3x8
from app.ledger.audit import LedgerAudit
from app.ledger.checkpoint import Checkpoint
from app.ledger.served import load_checkpoint
from app.ledger.treecheck import check_tree
from app.trace.code import Code, digital_link, new_serial
from app.trace.story import keeps_state


def audit(folder: Path) -> dict[str, float]:
    """Re-verifies everything as `suxin audit` does, then reads and hashes in a bare loop."""
    with opened(folder) as rooms, rooms.database.read() as connection:
        began = time.perf_counter()
        checker = LedgerAudit(
            connection,
            vault=rooms.vault,
            check_state=rooms.stories.state_checker(connection),
            keeps_state=keeps_state,
        )
        problems = list(checker.check_all())
        published = load_checkpoint(connection, rooms.keyring.log.vkey)
        assert published is not None, "the market publishes before it is left"
        signed = [Checkpoint(rooms.keyring.log.vkey.name, published.size, published.root)]
        problems += check_tree(connection, signed)
        taken_s = time.perf_counter() - began
    memory_mb = peak_memory_mb()
    began = time.perf_counter()
    hashed = hash_all(folder / "data" / "suxin.db")
    return {
        "seconds": taken_s,
        "bare_seconds": time.perf_counter() - began,
        "records": checker.records,
        "hashed": hashed,
        "problems": len(problems),
        "memory_mb": memory_mb,
    }


def issue(folder: Path, count: int) -> dict[str, float]:
    """Orders codes on a new database and makes them."""
    with opened(folder) as rooms:
        market = Market(rooms, shops=1, goods=1)
        began = time.perf_counter()
        batch, _ = rooms.issuing.order(
            market.shops[0].principal,
            order_id=None,
            gtin=market.gtins[0],
            count=count,
            lot=None,
            inner=False,
        )
        while rooms.issuing.issue_some():
            pass
        taken_s = time.perf_counter() - began
        done = rooms.issuing.batch(batch.batch_id).done
    return {"seconds": taken_s, "done": done, "memory_mb": peak_memory_mb()}


def sheet(path: Path, count: int) -> dict[str, float]:
    """Prints made-up labels into `path`, as one file."""
    font = find_font(settings_in(path.parent).font)
    began = time.perf_counter()
    with path.open("wb") as file:
        write_a4_3x8((_label() for _ in range(count)), file, symbol="qr", font_path=font)
    taken_s = time.perf_counter() - began
    return {
        "seconds": taken_s,
        "memory_mb": peak_memory_mb(),
        "file_mb": path.stat().st_size / 1e6,
    }


def _label() -> SheetLabel:
    code = Code("09521234543213", serial=new_serial(secrets.token_bytes))
    return SheetLabel(
        content=digital_link("https://bench.example", code),
        title="端砚文房礼盒（示例）",
        fields=(("商品条码", f"(01){code.gtin}"), ("序列号", f"(21){code.serial}")),
    )


def main(work: str, path: Path, *count: str) -> None:
    """Does the work and says what came of it."""
    match work:
        case "audit":
            told = audit(path)
        case "issue":
            told = issue(path, int(count[0]))
        case _:
            told = sheet(path, int(count[0]))
    sys.stdout.write(json.dumps(told) + "\n")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *sys.argv[3:])
