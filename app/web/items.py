"""Bodies that are told everything that is wrong with them at once, alone or as items of a list.

Pydantic finds what is of a wrong shape; what our rules find in the rest would be told only once that is
mended. A body that is a `Whole` says of both in one refusal.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from itertools import islice
from typing import Any, Self, TypeVar

from pydantic import ModelWrapValidatorHandler, ValidationError, ValidationInfo, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from app.kit.errors import MOST_BESIDE, FieldFault, Invalid
from app.web.body import Body, check_texts
from app.web.problems import HOUSE, read_errors

_Whole = TypeVar("_Whole", bound="Whole")


class Whole(Body):
    """A body whose refusal names what pydantic found and what our rules find beside it."""

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
        try:
            return handler(given)
        except ValidationError as err:
            if type(given) is not dict or err.error_count() > MOST_BESIDE:
                raise
            errors = err.errors(include_url=False)
            wrong = {tuple(error["loc"][:2]) for error in errors}
            beside = cls.faults_beside(_sound(cls, given, wrong), info.context or {})
            # Read here, where locations begin at this body: later they would say the same.
            faults = (*read_errors(errors), *islice(beside, MOST_BESIDE))
            raise ValidationError.from_exception_data(
                cls.__name__, [_detail(one) for one in faults]
            ) from err


def read_item(
    model: type[_Whole],
    item: object,
    loc: tuple[str | int, ...],
    context: Mapping[str, Any],
) -> _Whole:
    """Returns an item of a list, with its control characters refused. Raises Invalid, at `loc` and below."""
    check_texts(item, loc)
    try:
        return model.model_validate(item, context=dict(context))
    except ValidationError as err:
        faults = read_errors(err.errors(include_url=False))
        raise Invalid("invalid", errors=tuple(_below(one, loc) for one in faults)) from err


def house_error(fault: FieldFault) -> PydanticCustomError:
    """Returns a fault in our words as a validator raises it; its place is where it is raised."""
    return PydanticCustomError(HOUSE, "refused", {"fault": fault})


def _detail(fault: FieldFault) -> InitErrorDetails:
    return InitErrorDetails(type=house_error(fault), loc=fault.loc, input=None)


def _below(fault: FieldFault, loc: tuple[str | int, ...]) -> FieldFault:
    return FieldFault((*loc, *fault.loc), fault.kind, fault.params, fault.sentence, fault.words)


def _sound(
    cls: type[Whole], given: dict[Any, Any], wrong: Collection[tuple[str | int, ...]]
) -> dict[str, Any]:
    """Returns the fields without those that are wrong; of a field of sections, the sound sections.

    wrong: places as pydantic names them, of two parts at most.
    """
    sound = {}
    for name, value in given.items():
        sections = {place[1] for place in wrong if len(place) == 2 and place[0] == name}
        is_wrong = (name,) in wrong or (sections and type(value) is not dict)
        if is_wrong or name not in cls.model_fields:
            continue
        sound[name] = (
            {key: one for key, one in value.items() if key not in sections} if sections else value
        )
    return sound
