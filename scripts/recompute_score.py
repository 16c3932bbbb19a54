#!/usr/bin/env python3
"""A party's credit score, computed again from what is public: its entries and the policy.

    python3 -I recompute_score.py ENTRIES POLICY [--at TIME] [--holds CREDIT] [--json]

ENTRIES: GET /api/v1/credit/{party}/entries, all pages of it. POLICY: GET /api/v1/credit/policy.
CREDIT: GET /api/v1/credit/{party}, for the provisional holds and the score that the service tells;
with it the exit is 1 where the two scores differ. Each is a file or an http(s) address.

Needs Python 3.11 and nothing else; written against the text of the policy, sharing no code with the
service. All steps are in integers; days and months are those of China (UTC+8).
"""

from __future__ import annotations

import argparse
import json
import sys
import urllib.parse
import urllib.request
from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
CHINA = timezone(timedelta(hours=8))
ENDED = ("repaired", "lapsed", "cancelled")


def read(place: str) -> Any:
    """Returns the JSON of a file or address; of a list that comes in pages, all of them."""
    if not place.startswith(("http://", "https://")):
        return json.loads(Path(place).read_bytes())
    found = _ask(place)
    page = found
    while isinstance(page, dict) and page.get("next"):
        joint = "&" if "?" in place else "?"
        page = _ask(f"{place}{joint}cursor={urllib.parse.quote(page['next'])}")
        found["items"] += page["items"]
    return found


def _ask(address: str) -> Any:
    with urllib.request.urlopen(address, timeout=30) as answer:  # noqa: S310 - http(s), see `read`
        return json.load(answer)


def to_ms(text: str) -> int:
    """Returns milliseconds since 1970 of an RFC 3339 time."""
    moment = datetime.fromisoformat(text)
    return (moment - EPOCH) // timedelta(milliseconds=1)


def day_of(entry: dict[str, Any]) -> str:
    """Returns the day that caps and months go by, YYYY-MM-DD."""
    if entry.get("day"):
        return str(entry["day"])
    at = EPOCH + timedelta(milliseconds=to_ms(entry["effective_at"]))
    return at.astimezone(CHINA).date().isoformat()


def own_weight(entry: dict[str, Any], at: int, policy: dict[str, Any]) -> tuple[int, str]:
    """Returns (points, why) of an entry by itself, before caps and limits."""
    status = entry["status"]
    if status == "cancelled":
        return 0, "ended"
    if status in ENDED and (not entry.get("ended_at") or at >= to_ms(entry["ended_at"])):
        return 0, "ended"
    if status == "objected" and policy["objection"]["suspends"]:
        return 0, "suspended"
    if at < to_ms(entry["effective_at"]):
        return 0, "not_yet"
    points = entry["points"]
    if not entry.get("expires_at"):
        return points, "full"
    end = to_ms(entry["expires_at"])
    if at >= end:
        return 0, "expired"
    if not entry.get("earliest_repair_at") or at <= to_ms(entry["earliest_repair_at"]):
        return points, "full"
    whole = end - to_ms(entry["earliest_repair_at"])
    # Half up, in integers: floor((2ab + c) / 2c).
    size = (2 * abs(points) * (end - at) + whole) // (2 * whole)
    return (size if points > 0 else -size), "fading"


def weigh(
    entries: list[dict[str, Any]], policy: dict[str, Any], at: int
) -> dict[str, tuple[int, str]]:
    """Returns {entry id: (points, why)} at a time in milliseconds."""
    rules = {rule["id"]: rule for rule in policy["rules"]}
    once = {entry["id"]: entry for entry in entries}
    ordered = sorted(once.values(), key=lambda e: (to_ms(e["effective_at"]), e["id"]))
    weights = {entry["id"]: own_weight(entry, at, policy) for entry in ordered}

    used: defaultdict[Any, int] = defaultdict(int)
    for entry in ordered:
        points, _ = weights[entry["id"]]
        caps = rules.get(entry["rule"], {}).get("caps", {})
        purses: list[tuple[Any, int]] = []
        if "per_day" in caps:
            purses.append(((entry["rule"], day_of(entry)), caps["per_day"]))
        if "total" in caps:
            purses.append((entry["rule"], caps["total"]))
        if points <= 0 or not purses:
            continue
        room = min(most - used[purse] for purse, most in purses)
        if room < points:
            points = max(0, room)
            weights[entry["id"]] = points, "capped"
        for purse, _ in purses:
            used[purse] += points

    limits = {limit["class"]: limit for limit in policy["volume_limits"]}
    months: defaultdict[Any, list[dict[str, Any]]] = defaultdict(list)
    for entry in ordered:
        kind = rules.get(entry["rule"], {}).get("class")
        if kind in limits and weights[entry["id"]][0]:
            months[kind, day_of(entry)[:7]].append(entry)
    for (kind, _), found in months.items():
        limit = limits[kind]
        chains = max(entry.get("chains") or 0 for entry in found)
        counted = max(limit["per_month"], chains * limit["chains_percent"] // 100)
        left = limit["points_per_month"]
        # The heaviest count first, the last of them in part.
        for place, entry in enumerate(sorted(found, key=lambda e: weights[e["id"]][0])):
            room = left if place < counted else 0
            if -weights[entry["id"]][0] > room:
                weights[entry["id"]] = -room, "over_limit"
            left += weights[entry["id"]][0]
    return weights


def grade_of(points: int, policy: dict[str, Any]) -> str:
    """Returns the grade of a score, before an entry forces one."""
    return next(str(step["grade"]) for step in policy["grades"] if points >= step["from"])


def recompute(
    entries: list[dict[str, Any]],
    policy: dict[str, Any],
    at: int,
    holds: Iterable[dict[str, Any]] = (),
) -> dict[str, Any]:
    """Returns score, grade and the weight of each entry. at: milliseconds since 1970."""
    weights = weigh(entries, policy, at)
    bounds = policy["score"]
    earned = sum(points for points, _ in weights.values() if points > 0)
    lost = -sum(points for points, _ in weights.values() if points < 0)
    without = bounds["base"] + min(bounds["positive_cap"], earned) - lost
    without = max(bounds["min"], min(bounds["max"], without))

    held = sum(h["points"] for h in holds if to_ms(h["since"]) <= at < to_ms(h["lifts_at"]))
    steps = policy["grades"]
    place = [step["grade"] for step in steps].index(grade_of(without, policy))
    lowest = steps[min(place + policy["hold"]["max_grades"], len(steps) - 1)]["from"]
    points = max(without - held, lowest)

    rules = {rule["id"]: rule for rule in policy["rules"]}
    forced = [
        rules[entry["rule"]]["forces_grade"]
        for entry in entries
        if "forces_grade" in rules.get(entry["rule"], {})
        and weights[entry["id"]][1] in ("full", "fading")
    ]
    return {
        "score": points,
        "score_without_holds": without,
        "grade": max([grade_of(points, policy), *forced]),  # A is best
        "weights": weights,
    }


def main() -> int:
    """Prints the score and what it is made of."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("entries", help="file or address")
    parser.add_argument("policy", help="file or address")
    parser.add_argument("--at", help="RFC 3339; by default the time of --holds, or now")
    parser.add_argument("--holds", metavar="CREDIT", help="file or address of the party's credit")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    given = parser.parse_args()
    found, policy = read(given.entries), read(given.policy)
    entries = found["items"] if isinstance(found, dict) else found
    told = read(given.holds) if given.holds else {}
    moment = given.at or told.get("as_of") or datetime.now(UTC).isoformat()
    result = recompute(entries, policy, to_ms(moment), told.get("holds", ()))
    agrees = not told or all(
        result[n] == told[n] for n in ("score", "score_without_holds", "grade")
    )
    if given.json:
        json.dump({**result, "at": moment, "agrees": agrees if told else None}, sys.stdout)
        print()
    else:
        for entry in entries:
            points, why = result["weights"][entry["id"]]
            print(f"{points:6d} of {entry['points']:5d}  {why:10s}  {entry['rule']}  {entry['id']}")
        print(
            f"score {result['score']} ({result['grade']}) at {moment}, policy {policy['version']}"
        )
        if not agrees:
            print(f"the service tells another one: {told['score']} ({told['grade']})")
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
