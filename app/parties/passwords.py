"""Passwords hashed and checked: Argon2id (RFC 9106), a few at a time, as long for nobody as for somebody."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from app.kit.errors import Overloaded
from app.parties.account_rules import MAX_PASSWORD, normal_password

# OWASP's least: 46 ms and 19 MiB each (measured). More memory would let a crowd at the door exhaust it.
_MEMORY_KIB, _PASSES, _LANES = 19 * 1024, 2, 1
_AT_ONCE = 4
_PATIENCE_S = 5.0


class Passwords:
    """Hashes of one strength; those of another are known as `outdated`."""

    def __init__(self, *, memory_kib: int = _MEMORY_KIB, passes: int = _PASSES) -> None:
        """memory_kib, passes: that each hash costs; less is for tests of other things alone."""
        self._hasher = PasswordHasher(time_cost=passes, memory_cost=memory_kib, parallelism=_LANES)
        # As strong and of no password; made up, since to hash one would cost each start of a process.
        self.nobodys = f"$argon2id$v=19$m={memory_kib},t={passes},p={_LANES}${'A' * 22}${'A' * 43}"
        self._turns = threading.BoundedSemaphore(_AT_ONCE)

    def hash(self, password: str) -> str:
        """Returns the PHC text of a password that `account_rules.read_password` gave. Raises Overloaded."""
        with self._turn():
            return self._hasher.hash(password)

    def is_right(self, stored: str | None, given: str) -> bool:
        """Returns whether it is the password; nobody's (stored None) takes as long. Raises Overloaded."""
        # No password is longer; a body of megabytes must not be hashed.
        told = normal_password(given) if len(given) <= 4 * MAX_PASSWORD else ""
        with self._turn():
            try:
                self._hasher.verify(stored or self.nobodys, told)
            except (VerificationError, InvalidHashError):
                return False
        return stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Returns whether a hash that was right should be made anew."""
        return self._hasher.check_needs_rehash(stored)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=_PATIENCE_S):
            raise Overloaded("sign_in_busy", retry_after_s=5)
        try:
            yield
        finally:
            self._turns.release()
