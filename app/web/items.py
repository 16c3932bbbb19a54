"""Bodies that are told everything that is wrong with them at once, alone or as items of a list.

Pydantic finds what is of a wrong shape; what our rules find in the rest would be told only once that is
mended. A body that is a `Whole` says of both in one refusal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import Any, Self, TypeVar

from pydantic import ModelWrapValidatorHandler, ValidationError, ValidationInfo, model_validator
from pydantic_core import ErrorDetails, InitErrorDetails, PydanticCustomError

from app.kit.errors import MOST_BESIDE, FieldFault
from app.web.body import Body, controls_in, holds_controls
from app.web.paths import CONTROL
from app.web.problems import HOUSE, MOST_TOLD, read_errors, refusal_of

_Whole = TypeVar("_Whole", bound="Whole")


class Whole(Body):
    """A body whose refusal names what pydantic found and what our rules find beside it.

    It looks for control characters itself, so that they are told with the rest.
    """

    @classmethod
    def faults_beside(
        cls, sound: Mapping[str, Any], context: Mapping[str, Any]
    ) -> Iterable[FieldFault]:
        """Returns what our rules find in the fields that pydantic found nothing in, as they were sent.

        context: what the reader of the body knows, by name; empty where the framework reads it.
        """
        raise NotImplementedError

    @model_validator(mode="wrap")
    @classmethod
    def _tell_all(
        cls, given: Any, handler: ModelWrapValidatorHandler[Self], info: ValidationInfo
    ) -> Self:
        # Enough of them, and nothing else is asked: a body may have a hundred thousand.
        controls = list(islice(controls_in(given), MOST_BESIDE)) if holds_controls(given) else []
        found: list[ErrorDetails] = []
        cause: ValidationError | None = None
        try:
            read = handler(given)
            if not controls:
                return read
        except ValidationError as err:
            found, cause = err.errors(include_url=False), err
            if not controls and (type(given) is not dict or len(found) > MOST_BESIDE):
                raise
        # Read here, where locations begin at this body: later they would say the same.
        faults = [*controls, *read_errors(found[:MOST_TOLD])]
        is_worth_more = len(controls) < MOST_BESIDE and len(faults) <= MOST_BESIDE
        if type(given) is dict and is_worth_more:
            places = {one.loc for one in controls}
            wrong = {tuple(one["loc"][:2]) for one in found} | {p for p in places if len(p) == 1}
            told = cls.faults_beside(_sound(cls, given, wrong), info.context or {})
            # What else a text with a control character is not, is not worth telling.
            faults += islice((one for one in told if _shown(one.loc) not in places), MOST_BESIDE)
        details = [_detail(one) for one in faults]
        # Nobody is told of the rest: as many of them as there are, to be counted.
        details += details[-1:] * (len(found) - MOST_TOLD)
        raise ValidationError.from_exception_data(cls.__name__, details) from cause


def read_item(
    model: type[_Whole],
    item: object,
    loc: tuple[str | int, ...],
    context: Mapping[str, Any],
) -> _Whole:
    """Returns an item of a list. Raises Invalid, at `loc` and below."""
    try:
        return model.model_validate(item, context=dict(context))
    except ValidationError as err:
        refusal = refusal_of(err.errors(include_url=False))
        refusal.errors = tuple(_below(one, loc) for one in refusal.errors)
        raise refusal from err


def house_error(fault: FieldFault) -> PydanticCustomError:
    """Returns a fault in our words as a validator raises it; its place is where it is raised."""
    return PydanticCustomError(HOUSE, "refused", {"fault": fault})


def _detail(fault: FieldFault) -> InitErrorDetails:
    return InitErrorDetails(type=house_error(fault), loc=fault.loc, input=None)


def _below(fault: FieldFault, loc: tuple[str | int, ...]) -> FieldFault:
    return FieldFault((*loc, *fault.loc), fault.kind, fault.params, fault.sentence, fault.words)


def _shown(loc: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Returns a place as the search for control characters names it."""
    return tuple(CONTROL.sub("?", part)[:80] if isinstance(part, str) else part for part in loc)


def _sound(
    cls: type[Whole], given: dict[Any, Any], wrong: Collection[tuple[str | int, ...]]
) -> dict[str, Any]:
    """Returns the fields without those that are wrong; of a field of sections, the sound sections.

    wrong: places as pydantic names them, of two parts at most. Nothing whose name has a control character.
    """
    sound = {}
    for name, value in given.items():
        sections = {place[1] for place in wrong if len(place) == 2 and place[0] == name}
        is_wrong = (name,) in wrong or (sections and type(value) is not dict)
        if is_wrong or name not in cls.model_fields:
            continue
        sound[name] = (
            {k: one for k, one in value.items() if k not in sections and not CONTROL.search(k)}
            if type(value) is dict
            else value
        )
    return sound
