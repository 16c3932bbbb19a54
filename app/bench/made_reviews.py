"""Sellers' months of sales and reviews made up from a seed, honest and brushed. Synthetic throughout."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from random import Random

from app.bench.made_lives import SHOP, START, minutes, place
from app.credit.loader import load_policy
from app.trace.detectors import Reviewed, Usual, find_brushing

ASSUMED = (
    "An honest seller has 10 to 120 reviews: sold over the month, by a third of the sellers with one rush "
    "of an hour; signed for after two days; reviewed a day or so later, 8 in 100 within the hour; 88 to "
    "97 in 100 with five stars. Of the codes 15 to 55 in 100 were opened, by the seller. 15 in 100 reviews "
    "say nothing or a few words, the others something of their own. One seller in fifty has a regular "
    "buyer of 7 to 9 sales. "
    "One seller in ten brushes, and adds made-up sales, 3 in 10 to 3 times as many as the true ones: a "
    "third in bursts that are reviewed at once, a third at once but spread out, a third with patience, "
    "days later. Half copy 2 to 8 texts with small changes, half write each anew. No goods are sent, so a "
    "code is opened once in ten times; 1 to 25 accounts buy. All made-up reviews have five stars."
)
MONTH = "2026-01"
TERMS = load_policy(1).detectors.thresholds.brushing
USUAL = Usual(reviews=500, five_percent=92, seen_percent=35)
KINDS = ("burst", "fast_reviews", "similar_reviews", "five_stars", "unseen", "same_buyer")
_SELLERS = 300
_BRUSHED = 0.1
_WORDS = tuple("好美快真香甜新鲜包装精致物流给力值得回购推荐家人喜欢品质稳定价格实惠客服耐心")


def _text(random: Random) -> str:
    return "".join(random.choice(_WORDS) for _ in range(random.randint(14, 40)))


def _changed(random: Random, text: str) -> str:
    at = random.randrange(len(text))
    return random.choice(
        (text, text + "!", f"{text}。", text[:at] + random.choice(_WORDS) + text[at:])
    )


def _honest(random: Random, first: int) -> list[Reviewed]:
    count = random.randint(10, 120)
    five, opened = random.uniform(0.88, 0.97), random.uniform(0.15, 0.55)
    rush = random.uniform(1, 25) if random.random() < 1 / 3 else None
    regular = random.randint(7, 9) if random.random() < 0.02 else 0
    found = []
    for n in range(count):
        in_rush = rush is not None and random.random() < 0.4
        day = rush + random.uniform(0, 1 / 24) if in_rush and rush else random.uniform(0, 27)
        sold = START + timedelta(days=day)
        signed = sold + minutes(60 * random.lognormvariate(3.7, 0.4))
        delay = (
            random.uniform(1, 60)
            if random.random() < 0.08
            else 60 * (1 + random.lognormvariate(3.2, 1))
        )
        silent = random.random() < 0.15
        found.append(
            Reviewed(
                place(first + n),
                "06901234567892",
                sold,
                signed + minutes(delay),
                5 if random.random() < five else random.randint(1, 4),
                signed,
                b"regular" if n < regular else random.randbytes(8),
                random.choice((None, "很好", "不错", "默认好评")) if silent else _text(random),
                int(random.random() < opened),
            )
        )
    return found


def _made_up(random: Random, first: int, count: int) -> list[Reviewed]:
    way = random.choice(("burst", "at_once", "patient"))
    texts = [_text(random) for _ in range(random.randint(2, 8))] if random.random() < 0.5 else None
    accounts = [random.randbytes(8) for _ in range(random.randint(1, 25))]
    bursts = [random.uniform(0, 27) for _ in range(max(1, count // 8))]
    found = []
    for n in range(count):
        if way == "burst":
            sold = START + timedelta(days=random.choice(bursts)) + minutes(random.uniform(0, 8))
            signed, at = sold + minutes(9), sold + minutes(random.uniform(9, 20))
        elif way == "at_once":
            sold = START + timedelta(days=random.uniform(0, 27))
            signed = sold + minutes(random.uniform(60, 600))
            at = signed + minutes(random.uniform(-30, 40))
        else:
            sold = START + timedelta(days=random.uniform(0, 22))
            signed = sold + timedelta(days=random.uniform(1, 4))
            at = signed + minutes(60 * random.uniform(2, 60))
        found.append(
            Reviewed(
                place(first + n),
                "06901234567892",
                sold,
                at,
                5,
                signed,
                random.choice(accounts),
                _changed(random, random.choice(texts)) if texts else _text(random),
                int(random.random() < 0.1),
            )
        )
    return found


def make_months(random: Random) -> Iterator[tuple[bool, frozenset[str]]]:
    """Yields for each seller whether it brushed, and the kinds that the detectors found."""
    for n in range(_SELLERS):
        brushed = random.random() < _BRUSHED
        reviews = _honest(random, 10_000 * n)
        if brushed:
            count = max(5, round(len(reviews) * random.uniform(0.3, 3)))
            reviews += _made_up(random, 10_000 * n + 5_000, count)
        random.shuffle(reviews)
        found = find_brushing(SHOP, MONTH, reviews, USUAL, TERMS)
        yield brushed, frozenset(one.kind.removeprefix("brushing.") for one in found)
