"""What all types of the resource share: strictness, bounded texts, and rules that two programs check."""

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue, StringConstraints
from pydantic.alias_generators import to_camel

MESSAGE_LENGTH = 4096

ShortText = Annotated[str, StringConstraints(max_length=256)]
LongText = Annotated[str, StringConstraints(max_length=MESSAGE_LENGTH)]


def fitting(message: str, most: int) -> str:
    """Cut to `most` characters, the last of which then says so."""
    return message if len(message) <= most else f"{message[: most - 1]}…"


class Api(BaseModel):
    """Base of every type of the resource."""

    # The API server prunes unknown fields; forbidding them here means that we never rely on one by mistake.
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


def matches(regex: str, message: str) -> tuple[Any, AfterValidator]:
    """The same rule for the API server and for us: a body may be older than the rule."""
    return matches_by_prefix({"": (regex, message)})


def matches_by_prefix(rules: Mapping[str, tuple[str, str]]) -> tuple[Any, AfterValidator]:
    """For each prefix, the regex that a value with it must match, and the sentence for one that does not."""

    def check(value: str) -> str:
        for prefix, (regex, message) in rules.items():
            if value.startswith(prefix) and re.fullmatch(regex, value) is None:
                raise ValueError(message)
        return value

    cel: list[JsonValue] = [
        {"rule": (f"!self.startsWith('{prefix}') || " if prefix else "") + f"self.matches(r'{regex}')", "message": why}
        for prefix, (regex, why) in rules.items()
    ]
    return Field(json_schema_extra={"x-kubernetes-validations": cel}), AfterValidator(check)
