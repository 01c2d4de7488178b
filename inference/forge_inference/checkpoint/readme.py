"""What trainers write into README.md: front matter, versions, and axolotl's whole configuration."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

_LONGEST = 32 * 2**10  # characters of YAML; parsing is slow
_FRONT = re.compile(r"---\n(.*?)\n---\s*(?:\n|\Z)", re.DOTALL)
_VERSION = re.compile(r"^- ([A-Z][A-Za-z-]{1,30}):? ([0-9][\w.+-]{0,40})\s*$", re.MULTILINE)
_AXOLOTL = re.compile(r"axolotl version: `([^`\n]{1,64})`\s*```yaml\n(.*?)\n```", re.DOTALL)
# By tag of the front matter, the most telling first: each of these trainers uses the next ones.
_TRAINERS = {
    "axolotl": "axolotl",
    "llama-factory": "LLaMA-Factory",
    "unsloth": "unsloth",
    "trl": "TRL",
    "generated_from_trainer": "Transformers",
}


class _Plain(yaml.SafeLoader):
    """YAML without aliases, by which a few lines can stand for more than any memory holds."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError("an alias")
        return super().compose_node(parent, index)


@dataclass(frozen=True)
class Card:
    """What a README.md says."""

    trainer: str | None = None
    base_model: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    axolotl: Mapping[str, Any] = field(default_factory=dict)


def read(text: str) -> Card:
    """What cannot be understood is left out."""
    found = _FRONT.match(text)
    front = plain_yaml(found[1]) if found else {}
    tags = front.get("tags")
    known = {str(tag).lower() for tag in tags} if isinstance(tags, list) else set()
    versions = dict(_VERSION.findall(text)[:20])
    axolotl: Mapping[str, Any] = {}
    if config := _AXOLOTL.search(text):
        known.add("axolotl")
        versions["axolotl"] = config[1]
        axolotl = plain_yaml(config[2])
    named = front.get("base_model")
    return Card(
        trainer=next((name for tag, name in _TRAINERS.items() if tag in known), None),
        base_model=named[:1024] if isinstance(named, str) and named not in ("", "None") else None,
        versions=versions,
        axolotl=axolotl,
    )


def plain_yaml(text: str) -> Mapping[str, Any]:
    """A mapping, empty for anything else."""
    if not text or len(text) > _LONGEST:
        return {}
    try:
        found = yaml.load(text, Loader=_Plain)  # noqa: S506 - a SafeLoader that also refuses aliases
    except (yaml.YAMLError, ValueError, RecursionError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}
