"""Writes what follows from the chart's values.yaml: values.schema.json and README.md.

    python charts/generate.py [--check]

A comment before a value that begins with `# --` is its description. Lines that begin with `# @` narrow it:
`@enum a, b`; `@minimum 1`; `@maximum 9`; `@pattern ^a+$`; `@items string` (of a list); `@each a, b` (what a list
may hold); `@fields {a: string}` (all that
a map may hold); `@open` (a map of anything); `@keyed` (a map of maps that all look like the first).
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).parent / "scientificllm-forge"
_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}


@dataclass
class Value:
    """One value: its path, what is said of it, its default, and the values below it."""

    path: tuple[str, ...]
    default: Any
    description: str = ""
    marks: dict[str, str] = field(default_factory=dict)
    below: list["Value"] = field(default_factory=list)


def read(text: str) -> list[Value]:
    """The values of a file, with what their comments say."""
    document = yaml.compose(text, Loader=yaml.SafeLoader)
    assert isinstance(document, yaml.MappingNode)  # noqa: S101 - the file is ours
    return list(_values(document, text.splitlines(), ()))


def _values(node: yaml.MappingNode, lines: list[str], path: tuple[str, ...]) -> Iterator[Value]:
    for key, value in node.value:
        here = (*path, key.value)
        description, marks = _comment(lines, key.start_mark.line)
        default = yaml.safe_load(yaml.serialize(value))
        below = isinstance(value, yaml.MappingNode) and "open" not in marks
        found = Value(here, default, description, marks)
        if below:
            found.below = list(_values(value, lines, here))
        yield found


def _comment(lines: list[str], line: int) -> tuple[str, dict[str, str]]:
    block: list[str] = []
    while line > 0 and lines[line - 1].strip().startswith("#"):
        line -= 1
        block.insert(0, lines[line].strip().removeprefix("#").strip())
    words = [text.removeprefix("--").strip() for text in block if not text.startswith("@")]
    marks = [text.removeprefix("@").partition(" ") for text in block if text.startswith("@")]
    if not any(text.startswith("--") for text in block):
        return "", {}
    return " ".join(words), {name: value.strip() for name, _, value in marks}


def schema(values: list[Value]) -> dict[str, Any]:
    """JSON schema of a level; a name that is not here is refused."""
    found = {value.path[-1]: _one(value) for value in values}
    return {"type": "object", "additionalProperties": False, "properties": found}


def _one(value: Value) -> dict[str, Any]:
    found: dict[str, Any] = {"description": value.description} if value.description else {}
    if "keyed" in value.marks:
        each = {**schema(value.below[0].below), "type": ["object", "null"]}
        return {**found, "type": "object", "additionalProperties": each}
    if value.below:
        return {**found, **schema(value.below)}
    found["type"] = _TYPES[type(value.default)]
    if "enum" in value.marks:
        found["enum"] = [word.strip() for word in value.marks["enum"].split(",")]
    found |= {bound: int(value.marks[bound]) for bound in ("minimum", "maximum") if bound in value.marks}
    if "pattern" in value.marks:
        found["pattern"] = value.marks["pattern"]
    if "fields" in value.marks:
        kinds = yaml.safe_load(value.marks["fields"])
        found |= {"additionalProperties": False, "properties": {name: {"type": kind} for name, kind in kinds.items()}}
    if "items" in value.marks:
        found["items"] = {"type": value.marks["items"]}
    if "each" in value.marks:
        found["items"] = {"enum": [word.strip() for word in value.marks["each"].split(",")]}
    return found


def _rows(values: list[Value]) -> Iterator[str]:
    for value in values:
        if "keyed" in value.marks:
            names = ", ".join(f"`{each.path[-1]}`" for each in value.below)
            yield _row(value, names)
            for each in value.below[0].below:
                path = (*value.path, "NAME", each.path[-1])
                yield _row(Value(path, each.default, each.description))
        elif value.below:
            yield from _rows(value.below)
        else:
            yield _row(value)


def _row(value: Value, default: str | None = None) -> str:
    shown = default if default is not None else f"`{json.dumps(value.default, ensure_ascii=False)}`"
    choices = f" One of {value.marks['enum']}." if "enum" in value.marks else ""
    return f"| `{'.'.join(value.path)}` | {shown} | {value.description}{choices} |"


def rendered() -> dict[Path, str]:
    """Path to content of every generated file."""
    values = read((CHART / "values.yaml").read_text())
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    whole = {
        "$comment": "Generated by `make generate` from values.yaml. Do not edit.",
        "$schema": "http://json-schema.org/draft-07/schema#",
        **schema(values),
    }
    whole["properties"]["global"] = {"type": "object", "description": "Helm's own; nothing here reads it."}
    page = f"""<!-- Generated by `make generate` from values.yaml. Do not edit. -->
# {chart["name"]}

{chart["description"]}

```
helm install forge charts/scientificllm-forge --namespace forge-system --create-namespace
```

`docs/guides/install.md` tells the whole way. Sets of values that are tested are in `ci/`.

| value | default | what it is for |
|---|---|---|
{chr(10).join(_rows(values))}
"""
    return {
        CHART / "values.schema.json": json.dumps(whole, indent=2, ensure_ascii=False) + "\n",
        CHART / "README.md": page,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a file is not up to date")
    check = parser.parse_args().check
    stale = [path for path, text in rendered().items() if not path.exists() or path.read_text() != text]
    for path in stale:
        shown = path.relative_to(CHART.parents[1])
        if check:
            print(f"{shown} is not up to date: run `make generate`", file=sys.stderr)
        else:
            path.write_text(rendered()[path])
            print(f"wrote {shown}")
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
