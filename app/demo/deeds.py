"""What is decided and promised in the demo, beside the goods: it fills the desks of its people. Once each."""

from __future__ import annotations

from uuid import NAMESPACE_URL, uuid5

from app.credit.ledger import Given
from app.credit.policy import Status
from app.credit.templates import templates
from app.demo.cast import ALTERED, CARELESS, GIFTS, HONEST, Player
from app.parties.principal import Principal
from app.web.deps import Rooms

_PROMISES = (
    (HONEST, "seven_day_return"),
    (HONEST, "true_information"),
    (ALTERED, "lawful_trade"),
)
_COMPANY_PREFIX = "69012345"
_PACKED = 4


def promise(rooms: Rooms, principals: dict[str, Principal]) -> None:
    """Signs commitments in the merchants' names."""
    for player, name in _PROMISES:
        rooms.commitments.sign(
            principals[player.party],
            player.party,
            template=name,
            version=None,
            digest=templates()[name].digest,
            id=_id(player, name),
        )


def commend(rooms: Rooms, regulator: Principal) -> None:
    """Announces the honest shop for the red list; it takes effect five working days later."""
    rooms.lists.enter(
        regulator,
        "red",
        HONEST.party,
        criterion="commended",
        evidence={"title": "诚信经营示范单位（示例）", "number": "示例市监〔2026〕8号（虚构）"},
        id=_id(HONEST, "red"),
    )


def object_to_a_notice(rooms: Rooms, principals: dict[str, Principal]) -> None:
    """Lets the careless shop object to what is only announced, so that somebody has to decide."""
    principal = principals[CARELESS.party]
    filed, _ = rooms.credit_ledger.file_of(CARELESS.party, principal)
    announced = [one.entry.id for one in filed if one.entry.status is Status.NOTICE]
    if announced:
        said = "顾客已口头确认收到，承运方没有上传签收，附聊天记录（示例）。"
        rooms.credit_ledger.object(principal, announced[0], Given(text=said))


def pack(rooms: Rooms, principals: dict[str, Principal], loose: list[str]) -> None:
    """Puts some units that are not sold yet into a case. loose: codes of GIFTS."""
    principal = principals[GIFTS.seller.party]
    sscc = rooms.packing.new_number(principal, _COMPANY_PREFIX)
    rooms.packing.pack(principal, sscc, loose[:_PACKED])


def report(rooms: Rooms, code: str) -> None:
    """Lets somebody without a proof of purchase report goods, for an authority to read."""
    said = "市场里有人低价卖同款，标签看着像复印的（示例）。"
    rooms.reports.file(code, said, "李先生 19900000000（虚构）")


def _id(player: Player, what: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"suxin demo {player.party} {what}"))
