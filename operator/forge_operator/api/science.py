"""What a model serves besides prompts, and what its lab brings for that: tables of names, profiles of calibration."""

from typing import Annotated, Final, Literal, Self, get_args

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, model_validator

from forge_operator.api.fields import Api, matches
from forge_operator.api.source import Source

Task = Literal["generate", "genomics", "papers"]
TASKS: Final[tuple[Task, ...]] = get_args(Task)

_MOST = 8  # files of each kind
# The name of a file's place in the pod to its field. The place is a volume, or the folder that it was fetched into.
PLACES: Final = {
    f"{kind}-{number}": f"spec.science.{field}[{number}]"
    for kind, field in (("lexicon", "lexicons"), ("calibration", "calibration"))
    for number in range(_MOST)
}

_NAME = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
_NAME_MESSAGE = "must be the name of a ConfigMap of this namespace: lower-case letters, digits, dashes and dots"
_KEY = r"^[A-Za-z0-9_-][A-Za-z0-9._-]*$"
_KEY_MESSAGE = "must be a key of the ConfigMap that does not begin with a dot: letters, digits and ._-"
_ONE_MESSAGE = "name one place: configMap or source"
_COMMA_MESSAGE = "a path with a comma would be two: rename the file or its folder"
_FILE_RULES: list[JsonValue] = [
    {"rule": "has(self.configMap) != has(self.source)", "message": _ONE_MESSAGE},
    {
        "rule": "!has(self.source) || !self.source.uri.contains(',')",
        "message": _COMMA_MESSAGE,
        "fieldPath": ".source.uri",
    },
]


class ConfigMapKey(Api):
    """One key of a ConfigMap of the model's own namespace. The operator never reads it; the kubelet mounts it."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=253), *matches(_NAME, _NAME_MESSAGE)] = Field(
        description="Name of the ConfigMap."
    )
    key: Annotated[str, StringConstraints(min_length=1, max_length=253), *matches(_KEY, _KEY_MESSAGE)] = Field(
        description="Key of the ConfigMap whose value is the file."
    )


class File(Api):
    """A file that the lab brings."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-validations": _FILE_RULES})

    config_map: ConfigMapKey | None = Field(
        default=None,
        description="In a ConfigMap of this namespace, which has room for 1 MiB. One that changes is read by pods that"
        " start from then on: give each version a ConfigMap of its own to roll it out.",
    )
    source: Source | None = Field(
        default=None,
        description="On a claim, where uri may name a single file, or fetched as a checkpoint is. Of a folder all"
        " files are read whose names do not begin with a dot.",
    )

    @model_validator(mode="after")
    def _is_in_one_place(self) -> Self:
        if (self.config_map is None) == (self.source is None):
            raise ValueError(_ONE_MESSAGE)
        if self.source and "," in self.source.uri:
            raise ValueError(_COMMA_MESSAGE)
        return self


# Not a set: of objects the API server takes one at first, and then no status.
_LIST: dict[str, JsonValue] = {"x-kubernetes-list-type": "atomic"}


class Science(Api):
    """What the lab brings for questions about genes and for papers."""

    lexicons: list[File] = Field(
        default_factory=list,
        max_length=_MOST,
        description="Tables of names that take the place of the built-in ones of their type: HGNC's complete set (TSV),"
        " OBO files of MONDO, DOID, HP, GO or ChEBI.",
        json_schema_extra=_LIST,
    )
    calibration: list[File] = Field(
        default_factory=list,
        max_length=_MOST,
        description="Profiles that say how often answers of this model are right that it is so sure of.",
        json_schema_extra=_LIST,
    )

    @property
    def files(self) -> dict[str, ConfigMapKey | Source]:
        """Where each file is, by the name of its place in the pod."""
        brought = (("lexicon", self.lexicons), ("calibration", self.calibration))
        return {
            f"{kind}-{number}": held
            for kind, files in brought
            for number, file in enumerate(files)
            if (held := file.config_map or file.source)
        }
