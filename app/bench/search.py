"""Search over many products: the index as it is written, filled with made-up names, asked over HTTP."""

from __future__ import annotations

import itertools
import random
import time
from array import array
from functools import cache

import httpx
import orjson

from app.bench.bare import size_mb
from app.bench.figures import Figure, percentile
from app.bench.market import Market, opened
from app.bench.plan import Plan, database_url
from app.bench.processes import BenchFailed, serving
from app.kit.clock import to_ms
from app.trace import wordstore
from app.trace.gtin import gtin_check_digit
from app.trace.words import product_words
from app.web.deps import Rooms

_PRODUCTS = 1_000_000
_AT_ONCE = 20_000
_QUERIES = 60
# Names of three parts, so that some words are in a tenth of all products and pairs of them in few.
_PLACES = [
    "鼎湖",
    "端州",
    "高要",
    "四会",
    "广宁",
    "怀集",
    "封开",
    "德庆",
    "罗定",
    "新兴",
    "从化",
    "增城",
    "英德",
    "潮州",
    "梅县",
    "阳江",
]
_KINDS = [
    "高山",
    "有机",
    "手工",
    "古法",
    "特级",
    "新鲜",
    "野生",
    "原味",
    "冷压",
    "真空",
    "即食",
    "浓缩",
]
_GOODS = [
    "红茶",
    "绿茶",
    "普洱茶",
    "苹果",
    "荔枝",
    "龙眼",
    "大米",
    "糯米",
    "花生油",
    "茶籽油",
    "蜂蜜",
    "腊肠",
    "肇实",
    "裹蒸粽",
    "端砚",
    "竹编篮",
    "洗衣液",
    "香皂",
    "毛巾",
    "陶瓷杯",
]
_BRANDS = [f"{first}{second}" for first in "华瑞嘉恒永安康泰丰裕" for second in "源盛隆达兴和美佳"]
_QUERIES_OF = (
    "茶", "红茶", "苹果", "鼎湖 茶", "有机大米", "端州手工红茶", "荔 蜂蜜", "华源", "suxin", "500克",
    "裹蒸粽", "罗定 冷压 花生油",
)  # fmt: skip


def measure_search(plan: Plan) -> Figure:
    """Measures GET /search over a million products: common and rare words, typed codes, all sorts."""
    count = plan.count(_PRODUCTS)
    folder = plan.folder("search")
    with opened(folder) as rooms:
        Market(rooms, shops=1, goods=1).finish()
        began = time.perf_counter()
        gtins = _fill(rooms, count, plan)
        filled_s = time.perf_counter() - began
        rooms.database.truncate_log()
    asked = list(_queries(gtins))
    taken_ms: list[float] = []
    found = 0
    with serving(folder) as service, httpx.Client(base_url=service.url, timeout=60) as client:
        for run in range(1 + plan.runs):
            for params in asked:
                began = time.perf_counter()
                answer = client.get("/api/v1/search", params=params)
                if run:
                    taken_ms.append((time.perf_counter() - began) * 1000)
                if answer.status_code != 200:
                    raise BenchFailed(f"a search was answered {answer.status_code}")
                found += len(answer.json()["items"])
    if not found:
        raise BenchFailed("nothing was found")
    p50_ms = percentile(taken_ms, 0.5)
    return Figure(
        "search",
        p50_ms,
        "ms",
        n=count,
        p50_ms=p50_ms,
        p99_ms=percentile(taken_ms, 0.99),
        also={"index_s": filled_s, "database_mb": size_mb(database_url(folder))},
    )


def _queries(gtins: list[str]) -> list[dict[str, str | int]]:
    seeded = random.Random(5)
    asked: list[dict[str, str | int]] = []
    for n in range(_QUERIES):
        sort = ("relevance", "relevance", "newest", "credit")[n % 4]
        asked.append({"q": _QUERIES_OF[n % len(_QUERIES_OF)], "sort": sort, "limit": 20})
    for gtin in seeded.choices(gtins, k=_QUERIES // 3):
        wrong = str((int(gtin[6]) + 1) % 10)
        asked.append({"q": gtin[1:6] + wrong + gtin[7:]})
    return asked


def _fill(rooms: Rooms, count: int, plan: Plan) -> list[str]:
    """Writes products and their words, in rows alone: what is measured is the reading of them.

    The words go in in the order of their key: else a million products take an hour, which would say
    nothing about searching. Returns some of the GTINs.
    """
    seeded = random.Random(4)
    first_ms = to_ms(rooms.clock.now()) - count * 1_000
    gtins: list[str] = []
    having: dict[tuple[str, int], array[int]] = {}
    for start in range(0, count, _AT_ONCE):
        rows: list[dict[str, object]] = []
        for n in range(start, min(start + _AT_ONCE, count)):
            name = seeded.choice(_PLACES) + seeded.choice(_KINDS) + seeded.choice(_GOODS)
            brand, spec = seeded.choice(_BRANDS), f"{seeded.randint(1, 20)}00克"
            rows.append(_product(n, name, brand, spec, first_ms + n * 1_000))
            words = dict(_words_of(name, "", ""))
            for more in (_words_of("", brand, ""), _words_of("", "", spec)):
                words |= {word: min(tier, words.get(word, tier)) for word, tier in more.items()}
            for place in words.items():
                having.setdefault(place, array("q")).append(n)
        gtins.append(_gtin(start))
        with rooms.database.write() as connection:
            wordstore.add_raw(connection, products=rows, words=())
        plan.tell(f"search: {start} of {count} products")
    rows_of = (
        (word, tier, -(first_ms + n * 1_000), int(_gtin(n)))
        for (word, tier), products in sorted(having.items())
        for n in reversed(products)
    )
    while part := list(itertools.islice(rows_of, 10 * _AT_ONCE)):
        with rooms.database.write() as connection:
            wordstore.add_raw(connection, products=(), words=part)
        plan.tell(f"search: words, at {part[-1][0]}")
    return gtins


@cache
def _words_of(name: str, brand: str, spec: str) -> dict[str, int]:
    return product_words(name, "food", {"brand": brand, "spec": spec})


def _product(n: int, name: str, brand: str, spec: str, created_at: int) -> dict[str, object]:
    facts = orjson.dumps({"brand": brand, "spec": spec}, option=orjson.OPT_SORT_KEYS)
    return {
        "gtin": _gtin(n),
        "name": name,
        "category": "food",
        "facts": facts.decode(),
        "item_code": False,
        "registrant": "-",
        "brand_owner": None,
        "owner_claim": None,
        "created_at": created_at,
    }


def _gtin(n: int) -> str:
    body = f"0690{n:09d}"
    return body + gtin_check_digit(body)
