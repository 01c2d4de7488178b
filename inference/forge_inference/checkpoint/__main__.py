"""python -m forge_inference.checkpoint inspect DIR: would this be served, and if not, why? Runs no code in it."""

import argparse
import json
import sys
from pathlib import Path

from forge_inference.checkpoint.inspection import Inspection, inspect


def main(words: list[str]) -> int:
    """The exit status: 0 when it would be served, 1 when not."""
    parser = argparse.ArgumentParser(prog="python -m forge_inference.checkpoint", description=__doc__)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("inspect", help="say what a training run holds, and whether it would be served")
    command.add_argument(
        "folder", metavar="DIR", type=Path, help="what spec.checkpoint.uri names: a training run's folder"
    )
    command.add_argument("--base", metavar="DIR", type=Path, help="the base model's folder; without it less is checked")
    command.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(words)
    found = inspect(options.folder, options.base)
    sys.stdout.write(json.dumps(found.as_json(), indent=2, ensure_ascii=False) + "\n" if options.json else _page(found))
    return 0 if found.served else 1


def _page(found: Inspection) -> str:
    facts = found.as_json()
    rows = [(name, value) for name, value in facts.items() if name not in ("problems", "notes", "served", "versions")]
    rows += [(name, value) for name, value in facts["versions"].items()]
    lines = [f"{name:22}{_shown(value)}" for name, value in rows if value not in (None, [], "")]
    lines += [f"\nproblem: {problem['reason']}: {problem['message']}" for problem in facts["problems"]]
    lines += [f"\nnote: {note}" for note in facts["notes"]]
    verdict = "This would be served." if found.served else "This would not be served."
    return "\n".join([*lines, f"\n{verdict}"]) + "\n"


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
