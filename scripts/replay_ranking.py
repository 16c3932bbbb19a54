#!/usr/bin/env python3
"""Ranks a sampled answer again from its receipt, without trusting the service: only Python needed.

    python3 -I scripts/replay_ranking.py RECEIPT.json [--key VKEY]

RECEIPT.json is the body of GET /api/v1/ranking/receipts/{id}. Checked are: that inputs and result are
those that the service hashed and signed, and that the result follows from the inputs by the public
formula (DESIGN: credit and ranking), to the last digit. VKEY is the service's receipt key, the text
at /log/receipt-key, obtained on another way than the receipt; its signature is then checked too, by
verify_bundle.py beside this file. Exit: 0 it follows, 1 it does not, 2 not readable, 3 it follows but
no key was given to check the signature against.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import sys
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import Any

FORMAT = "suxin-ranking/1"
MILLION = 10**6
EXACT = Context(prec=1000, rounding=ROUND_HALF_UP)


class Refused(Exception):
    """The receipt does not hold: says where."""


def canonical(value: Any) -> bytes:
    """Returns JSON with sorted keys and without spaces, as the service hashes it."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return text.encode("utf-8")


def share(part: int, whole: int) -> Fraction:
    """Returns part ÷ whole within 0..1; of nothing: 0."""
    if whole <= 0 or part <= 0:
        return Fraction(0)
    return min(Fraction(1), Fraction(part, whole))


def boost_of(offer: dict[str, Any], terms: dict[str, Any]) -> Decimal:
    """Returns the boost: the policy's numbers times the offer's shares, half up to six decimals."""
    stopped = offer["recalled"] or offer["measure"] or offer["black_listed"]
    if stopped or not (offer["known"] and offer["traceable"] and offer["data_enough"]):
        return Decimal("0.000000")
    orders = offer["orders_reported"]
    coverage = (
        share(offer["units_with_chain"], orders)
        if orders > 0
        else Fraction(terms["coverage_default"])
    )
    independence = share(offer["independent_steps"], offer["steps"])
    exact = (
        Fraction(terms["max_boost"])
        * (1 if offer["integrity_ok"] else 0)
        * share(offer["sold_without_open_gap"], offer["sold"])
        * coverage
        * (
            Fraction(terms["independence_base"])
            + Fraction(terms["independence_share"]) * independence
        )
        * Fraction(terms["grade_factors"][offer["grade"]])
    )
    above, below = exact.numerator * MILLION, exact.denominator
    return Decimal((2 * above + below) // (2 * below)).scaleb(-6)


def replay(inputs: dict[str, Any]) -> list[list[Any]]:
    """Returns [place in the order given, boost, final] in the order that the inputs give."""
    scored = []
    for place, values in enumerate(inputs["offers"]):
        offer = dict(zip(inputs["fields"], values, strict=True))
        boost = boost_of(offer, inputs["terms"])
        base = Decimal(offer["base"]) or Decimal(0)
        final = EXACT.quantize(EXACT.multiply(base, 1 + boost), Decimal("0.000001"))
        stopped = offer["recalled"] or offer["measure"] or offer["black_listed"]
        sound = offer["known"] and offer["traceable"] and offer["integrity_ok"] and not stopped
        scored.append((place, base, boost, final, sound))
    groups = [scored] if inputs["mode"] == "boost" else in_bands(scored, Decimal(inputs["band"]))
    ordered = [
        one for group in groups for one in sorted(group, key=lambda one: (-one[3], not one[4]))
    ]
    return [[place, f"{boost:f}", f"{final:f}"] for place, _, boost, final, _ in ordered]


def in_bands(scored: list[Any], band: Decimal) -> list[list[Any]]:
    """Returns groups of equal base: each is opened by the highest that is left, and no wider than band."""
    groups: list[list[Any]] = []
    lowest = Decimal(0)
    for one in sorted(scored, key=lambda one: one[1], reverse=True):
        if not groups or one[1] < lowest:
            groups.append([])
            lowest = EXACT.subtract(one[1], EXACT.multiply(one[1], band))
        groups[-1].append(one)
    return groups


def check(receipt: dict[str, Any], key: str | None) -> None:
    """Returns if the receipt holds. Raises Refused, or KeyError and the like if it is no receipt."""
    inputs, result, note = receipt["inputs"], receipt["result"], receipt["note"]
    if inputs["format"] != FORMAT:
        raise Refused(f"not of the format {FORMAT}")
    lines = (open_note(note, key) if key is not None else note.split("\n\n")[0]).split("\n")
    told = [
        FORMAT,
        sha256(canonical(inputs)).hexdigest(),
        sha256(canonical(result)).hexdigest(),
        str(inputs["policy"]),
        inputs["policy_digest"],
        inputs["as_of"],
    ]
    names = ("format", "inputs", "result", "policy", "policy digest", "time")
    for name, mine, signed in zip(names, told, lines[:6], strict=True):
        if mine != signed:
            raise Refused(f"{name}: the note says {signed}, the receipt gives {mine}")
    for n, (mine, theirs) in enumerate(zip(replay(inputs), result, strict=True), start=1):
        if mine != list(theirs):
            raise Refused(f"rank {n}: the inputs give {mine}, the answer was {list(theirs)}")


def open_note(note: str, key: str) -> str:
    """Returns the text of a note that this key has signed. Raises Refused."""
    path = Path(__file__).with_name("verify_bundle.py")
    spec = importlib.util.spec_from_file_location("verify_bundle", path)
    if spec is None or spec.loader is None:
        raise Refused(f"{path} is needed to check the signature")
    verifier = importlib.util.module_from_spec(spec)
    sys.modules["verify_bundle"] = verifier
    spec.loader.exec_module(verifier)
    try:
        text: str = verifier.open_note(note, verifier.parse_vkey(key.strip()))
    except (ValueError, KeyError) as err:
        raise Refused(f"signature: {err}") from err
    return text


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit code; says in one line what was found."""
    parser = argparse.ArgumentParser(description="Ranks a sampled answer again from its receipt.")
    parser.add_argument("receipt", type=Path)
    parser.add_argument("--key", help="the service's receipt key, the text at /log/receipt-key")
    given = parser.parse_args(arguments)
    try:
        receipt = json.loads(given.receipt.read_bytes())
        check(receipt, given.key)
    except Refused as why:
        print(f"does not hold: {why}")
        return 1
    except (OSError, ValueError, KeyError, TypeError, ArithmeticError) as why:
        print(f"not readable: {type(why).__name__}: {why}")
        return 2
    count = len(receipt["result"])
    if given.key is None:
        print(f"{count} offers follow from the inputs; no key was given to check the signature")
        return 3
    print(f"{count} offers follow from the inputs, and the service has signed both")
    return 0


if __name__ == "__main__":
    sys.exit(main())
