"""The second factor: codes of an authenticator app (TOTP, RFC 6238), and recovery codes for its loss.

Thirty seconds, six digits, SHA-1, a secret of 160 bits: what every app knows. A code is taken one step
early or late (RFC 6238 section 5.2), and once. The secret is sealed in the vault.
"""

from __future__ import annotations

import hmac
import re
import secrets

import pyotp
import structlog
from sqlalchemy import Connection

from app.kit.clock import Clock, to_ms
from app.kit.errors import FieldFault, invalid
from app.kit.tokens import SYMBOLS, RandomBytes, random_symbols
from app.ledger.vault import SALT_BYTES, SealBroken, Vault
from app.parties import accountstore as store

log = structlog.get_logger(__name__)

ISSUER = "Suxin"
RECOVERY_CODES = 10
_STEP_S = 30
_RECOVERY_SYMBOLS = 12
_CODE = re.compile(r"[0-9]{6}", re.ASCII)
_SECRET = re.compile(r"[A-Z2-7]{32}", re.ASCII)
_RECOVERY = re.compile(f"[{SYMBOLS}]{{{_RECOVERY_SYMBOLS}}}", re.ASCII)


class SecondFactor:
    """recovery_key: 32 bytes, without which the stored recovery codes cannot be guessed."""

    def __init__(
        self,
        *,
        clock: Clock,
        vault: Vault,
        recovery_key: bytes,
        random: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._clock = clock
        self._vault = vault
        self._recovery_key = recovery_key
        self._random = random

    def new_secret(self) -> str:
        """Returns a secret for an app, in base 32."""
        return pyotp.random_base32()

    def uri(self, secret: str, name: str) -> str:
        """Returns what the QR code for an app holds (otpauth URI)."""
        return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=ISSUER)

    def turn_on(
        self, connection: Connection, account: str, *, secret: str, code: str
    ) -> tuple[str, ...]:
        """Returns recovery codes after a first right code. Writes `account`, `recovery_code`.

        Raises Invalid at `second_code`.
        """
        step = self._step_of(secret, code) if _SECRET.fullmatch(secret) else None
        if step is None:
            raise invalid(FieldFault(("second_code",), "second_code"))
        sealed = self._vault.seal(
            place=_place(account), salt=self._random(SALT_BYTES), content=secret.encode("ascii")
        )
        store.update_account(
            connection, account, totp_sealed=sealed.sealed, totp_key=sealed.wrapped_key,
            totp_step=step,
        )  # fmt: skip
        codes = tuple(
            random_symbols(self._random, _RECOVERY_SYMBOLS) for _ in range(RECOVERY_CODES)
        )
        store.set_recovery(connection, account, [self._digest(account, one) for one in codes])
        return tuple(f"{one[:4]}-{one[4:8]}-{one[8:]}" for one in codes)

    def turn_off(self, connection: Connection, account: str) -> None:
        """Ends the second factor. Writes `account`, `recovery_code`."""
        store.update_account(connection, account, totp_sealed=None, totp_key=None, totp_step=0)
        store.set_recovery(connection, account, [])

    def take(self, connection: Connection, account: str, given: str) -> str | None:
        """Returns which kind of code this is and that it was taken: `code`, `recovery`; None: wrong.

        Writes `account` or `recovery_code`.
        """
        row = store.find_account(connection, account)
        told = re.sub(r"[\s-]", "", given).upper()
        if row is None or row.totp_sealed is None:
            return None
        if _CODE.fullmatch(told):
            try:
                _, secret = self._vault.open(
                    place=_place(account),
                    sealed=bytes(row.totp_sealed),
                    wrapped_key=bytes(row.totp_key),
                )
            except SealBroken:
                # Altered, or sealed under other keys: no code is right; a reset helps, as for a lost phone.
                log.error("second_factor.altered", account=account)
                return None
            step = self._step_of(secret.decode("ascii"), told)
            if step is not None and store.take_step(connection, account, step):
                return "code"
        elif _RECOVERY.fullmatch(told):
            at_ms = to_ms(self._clock.now())
            if store.use_recovery(connection, account, self._digest(account, told), at_ms=at_ms):
                return "recovery"
        return None

    def _step_of(self, secret: str, code: str) -> int | None:
        """Returns the time step of a right code, at most one away from now, else None."""
        told = re.sub(r"\s", "", code)
        if not _CODE.fullmatch(told):
            return None
        totp = pyotp.TOTP(secret)
        now = int(self._clock.now().timestamp()) // _STEP_S
        found = None
        for step in (now - 1, now, now + 1):
            if hmac.compare_digest(totp.generate_otp(step), told):
                found = step
        return found

    def _digest(self, account: str, code: str) -> bytes:
        return hmac.digest(self._recovery_key, f"{account}\x00{code}".encode(), "sha256")


def _place(account: str) -> tuple[str, str, str]:
    return f"account/{account}", account, "totp"
