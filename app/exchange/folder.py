"""A credit store behind a folder: packages go out, receipts come in, whoever carries them.

    out/   packages that no receipt has answered: one at a time, so that order needs no further care
    in/    receipts, put here by whoever brings them
    done/  both, once every line of a receipt is acted upon
    bad/   what was put into in/ and is no receipt of the store for the package that is out

Files appear whole, under their name, or not at all. A package may be carried, and taken in, any number
of times: it is the same bytes as long as it is there. To have it carried again, carry it again.

TRUST: who can write the folder can hold changes up, for ever if they like, which shows in what waits;
they cannot have them taken for stored, since a receipt bears the store's signature.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import structlog

from app.exchange.change import Change
from app.exchange.package import (
    MAX_BYTES,
    MAX_CHANGES,
    ReceiptMalformed,
    package_name,
    read_receipt,
    write_package,
)
from app.exchange.port import Outcome, StoreDown
from app.kit.clock import Clock
from app.ledger.anchor import create_file, move_file
from app.ledger.note import Signer, VerifierKey

log = structlog.get_logger(__name__)

PACKAGE, RECEIPT = ".zip", ".receipt"
_NAME = re.compile(r"credit-([0-9]{8,})\.zip")


class FolderStore:
    """kind `file`. folder: made where it is not there. store_key: whose receipts count."""

    def __init__(
        self, folder: Path, signer: Signer, *, store_key: VerifierKey, clock: Clock
    ) -> None:
        self._out, self._in = folder / "out", folder / "in"
        self._done, self._bad = folder / "done", folder / "bad"
        self._signer = signer
        self._store_key = store_key
        self._clock = clock
        self._told: tuple[Path, Path] | None = None  # package and receipt that `collect` told of

    @property
    def kind(self) -> Literal["file"]:
        return "file"

    def room(self) -> int:
        return 0 if self._outstanding() else MAX_CHANGES

    def collect(self) -> Sequence[Outcome]:
        self._told = None
        for package in self._outstanding():
            receipt = self._in / f"{package.stem}{RECEIPT}"
            try:
                if not receipt.is_file():
                    continue
                if receipt.stat().st_size > MAX_BYTES:
                    raise ReceiptMalformed("receipt_malformed")
                told = read_receipt(receipt.read_bytes(), self._store_key)
                if told.get("package") != package.stem:
                    raise ReceiptMalformed("receipt_malformed")
            except ReceiptMalformed as err:
                log.error("credit.receipt_refused", receipt=receipt.name, why=str(err))
                self._move(receipt, self._bad)
                continue
            except OSError as err:
                raise StoreDown(f"folder ({err.strerror})") from err
            self._told = package, receipt
            return [_outcome(one) for one in told["results"]]
        return ()

    def forget(self) -> None:
        if self._told is not None:
            package, receipt = self._told
            # The package first: one that is out and has no receipt would be waited for for ever.
            self._move(package, self._done)
            self._move(receipt, self._done)
            self._told = None

    def deliver(self, changes: Sequence[Change]) -> Sequence[Outcome]:
        try:
            for folder in (self._out, self._in, self._done, self._bad):
                folder.mkdir(parents=True, exist_ok=True)
            number = 1 + max(
                (int(found[1]) for folder in (self._out, self._done)
                 for path in folder.iterdir() if (found := _NAME.fullmatch(path.name))),
                default=0,
            )  # fmt: skip
            content = write_package(
                changes, number=number, signer=self._signer, at=self._clock.now()
            )
            create_file(self._out / f"{package_name(number)}{PACKAGE}", content)
        except OSError as err:
            raise StoreDown(f"folder ({err.strerror})") from err
        return ()

    def read_card(
        self,
        _party: str,
        /,
        *,
        timeout_s: float,  # noqa: ARG002 - a folder is not waited for
    ) -> dict[str, Any] | None:
        return None

    def close(self) -> None:
        """Nothing is open."""

    def _outstanding(self) -> list[Path]:
        try:
            return sorted(path for path in self._out.glob(f"*{PACKAGE}") if _NAME.match(path.name))
        except OSError as err:
            raise StoreDown(f"folder ({err.strerror})") from err

    def _move(self, path: Path, folder: Path) -> None:
        try:
            move_file(path, folder / path.name)
        except OSError as err:
            raise StoreDown(f"folder ({err.strerror})") from err


def _outcome(told: Any) -> Outcome:
    match told.get("result"):
        case "stored":
            return Outcome(told["key"])
        case "refused":
            return Outcome(told["key"], refused=str(told.get("why", ""))[:300])
        case _:
            return Outcome(told["key"], held=True)
