"""Who acts in the demo and with what: made-up parties, textbook and demo GTINs, lots, stock.

No name here is anybody's. The unified social credit codes have true check digits over an
organisation code (MA4TE5T…) that is not allocated; 6901234567892 is the GTIN of textbooks, prefix
952 is GS1's for demonstrations. Pure data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from app.parties.identity import uscc_check_digit
from app.parties.registration import LicenceGiven


@dataclass(frozen=True, slots=True)
class Player:
    """A party. role: as registered; carrier names a role too. lends: types its mandate covers."""

    party: str
    name: str
    role: str
    region: str
    licences: tuple[LicenceGiven, ...] = ()
    lends: tuple[str, ...] = ()


def _fictional(first_17: str) -> str:
    return first_17 + uscc_check_digit(first_17)


HONEST = Player(
    "91441200MA4TE5T00Q",
    "端州砚坊（虚构）",
    "merchant",
    "441200",
    (
        LicenceGiven("business", "91441200MA4TE5T00Q"),
        LicenceGiven("food_production", "SC10144120000008", "2029-06-30"),
    ),
    ("listing", "sale", "return"),
)
CARELESS = Player("92441202MA4TE5T01M", "百味小铺（虚构）", "merchant", "441200")
ALTERED = Player(
    "91441204MA4TE5T02Q",
    "高要跨境优选（虚构）",
    "merchant",
    "441200",
    (LicenceGiven("business", "91441204MA4TE5T02Q"),),
    ("listing", "sale"),
)
PLATFORM = Player(_fictional("91440100MA4TE5T03"), "示例电商平台（虚构）", "platform", "440100")
FAST = Player(_fictional("91440000MA4TE5T04"), "示例快递（虚构）", "carrier", "440100")
STEADY = Player(_fictional("91440300MA4TE5T05"), "示范速运（虚构）", "carrier", "440300")
REGULATOR = Player(
    _fictional("11441200MA4TE5T06"), "示例市场监督管理局（虚构）", "regulator", "441200"
)
CUSTOMS = Player(_fictional("11440100MA4TE5T07"), "示例海关（虚构）", "customs", "440100")

MERCHANTS = (HONEST, CARELESS, ALTERED)
CAST = (*MERCHANTS, PLATFORM, FAST, STEADY, REGULATOR, CUSTOMS)

NAMELESS_CARRIER = "顺路快运（虚构）"
"""A carrier given as a mere text: nobody can send as it, so the seller answers for the signature."""
OWN_SHOP = "百味小程序（虚构）"

INKSTONE, ZONGZI, OLIVE_OIL, BASKET = (
    "06901234567892",
    "06936983800013",
    "09521234543213",
    "06900000000014",
)


@dataclass(frozen=True, slots=True)
class Goods:
    """A product. price_minor: fen. registrant also claims to own the brand, and is confirmed."""

    gtin: str
    registrant: Player
    price_minor: int
    facts: Mapping[str, Any]


GOODS = (
    Goods(
        INKSTONE,
        HONEST,
        26_800,
        {
            "name": "端砚文房礼盒（示例）",
            "category": "consumer_goods",
            "brand": "砚坊（虚构）",
            "spec": "一砚一墨，礼盒装",
            "origin": "广东肇庆",
        },
    ),
    Goods(
        ZONGZI,
        HONEST,
        5_900,
        {
            "name": "肇庆裹蒸粽（示例）",
            "category": "food",
            "brand": "砚坊（虚构）",
            "spec": "200克×6只，真空包装",
            "origin": "广东肇庆",
            "licence": "SC10144120000008",
        },
    ),
    Goods(
        OLIVE_OIL,
        ALTERED,
        12_900,
        {
            "name": "特级初榨橄榄油（示例）",
            "category": "cross_border",
            "brand": "优选（虚构）",
            "spec": "500毫升",
            "origin": "西班牙",
        },
    ),
    Goods(
        BASKET,
        CARELESS,
        3_900,
        {
            "name": "竹编果篮（示例）",
            "category": "consumer_goods",
            "brand": "百味（虚构）",
            "spec": "中号",
            "origin": "广东广宁",
        },
    ),
)
PRICE_MINOR = {goods.gtin: goods.price_minor for goods in GOODS}


@dataclass(frozen=True, slots=True)
class Stock:
    """Units of one seller, product and lot. sold: how many of them are sold within the demo.

    made, keeps: days before the demo's first day, and of shelf life; None leaves the date out.
    issued_at_once: False where each unit gets its code when its parcel is packed.
    ends: share of the demo's days in which the lot is sold.
    """

    seller: Player
    gtin: str
    lot: str
    count: int
    sold: int
    made: int = 20
    keeps: int | None = None
    inner: bool = False
    issued_at_once: bool = True
    ends: float = 1.0
    imported: Mapping[str, Any] = field(default_factory=dict)


GIFTS = Stock(HONEST, INKSTONE, "YT-01", 92, 84)
FRESH = Stock(HONEST, ZONGZI, "GZ-02", 42, 36, made=3, keeps=180, inner=True)
RECALLED = Stock(HONEST, ZONGZI, "GZ-01", 20, 15, made=12, keeps=180, inner=True, ends=0.7)
LOOSE_GIFTS = Stock(CARELESS, INKSTONE, "BW/7", 32, 27, inner=True)
BASKETS = Stock(CARELESS, BASKET, "ZB-1", 28, 28, issued_at_once=False)
FINE_GIFTS = Stock(ALTERED, INKSTONE, "GY-3", 32, 26)
OIL = Stock(
    ALTERED,
    OLIVE_OIL,
    "ES-2409",
    36,
    30,
    made=120,
    keeps=540,
    imported={
        "mode": "1210",
        "port": "示例口岸（虚构）",
        "hs_code": "1509200000",
        "origin": "西班牙",
        "certificate": "示例检验证明-001（虚构）",
    },
)
STOCKS = (GIFTS, FRESH, RECALLED, LOOSE_GIFTS, BASKETS, FINE_GIFTS, OIL)

CITIES = ("440100", "440300", "440600", "310100", "330100", "420100", "510100", "110000")
TITLES = {goods.gtin: goods.facts["name"] for goods in GOODS}
# Too short for the detector of copied reviews: so few texts are said by so many.
PRAISE = (
    "包装仔细，跟页面一样。",
    "送得快，每一步都能查。",
    "送长辈的，很喜欢。",
    "味道不错，会再买。",
    "第二次买了，品质稳定。",
)
GRUMBLES = ("到得晚了两天。", "盒子压坏了一角。", "客服回复太慢。", "没有收到签收通知。")
