"""Types of fields that pydantic alone would read too generously, or describe wrongly."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator
from pydantic.json_schema import SkipJsonSchema

_RFC_3339 = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def _moment(said: object) -> object:
    if not (isinstance(said, str) and _RFC_3339.fullmatch(said)):
        raise ValueError("write a time with its offset as in RFC 3339, 2027-01-31T00:00:00Z")
    try:
        return datetime.fromisoformat(said.upper()).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise ValueError("there is no such time") from error


# What may be left out but is never null: the document does not offer null, and who sends it is refused by name.
Absent = SkipJsonSchema[None]
# pydantic alone takes numbers for times, and times without an offset for those of this machine.
Moment = Annotated[AwareDatetime, BeforeValidator(_moment)]
