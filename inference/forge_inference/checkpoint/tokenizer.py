"""The tokenizer of a checkpoint, beside that of the base model.

Served is the base model's, which is the same or the checkpoint is refused: to load a foreign one can use up any memory
or end the process. The chat template is the checkpoint's.
"""

from pathlib import Path
from typing import Any

from forge_inference.checkpoint import files
from forge_inference.checkpoint.base import Base
from forge_inference.checkpoint.config import MERGE
from forge_inference.checkpoint.errors import CheckpointError, Findings
from forge_inference.checkpoint.layout import Choice

FILE = "tokenizer.json"
_TEMPLATE, _CONFIG = "chat_template.jinja", "tokenizer_config.json"
_LARGEST = 40 * 2**20  # bytes; the largest vocabularies have 262,144 tokens
_LONGEST = 256 * 2**10  # bytes of a template
# JSON becomes many times its size in memory, so its parts are counted first.
_MOST = {b"{": 10_000, b"[": 800_000, b":": 800_000, b",": 3_000_000}


def folder_of(choice: Choice, base_model: Path) -> Path:
    """Where a whole model's tokenizer is: beside it, in the run's folder, or with the base model."""
    return next((each for each in (choice.folder, choice.root) if (each / FILE).is_file()), base_model)


def survey(choice: Choice, base: Base | None, findings: Findings) -> str | None:
    """The checkpoint's own chat template, if it has one."""
    try:
        _compare(choice, base, findings)
        return _template(choice)
    except PermissionError:
        raise
    except OSError as error:
        findings.wrong("CheckpointInvalid", f"{error.filename} cannot be read: {error.strerror}")
    except CheckpointError as error:
        findings.problems.append(error)
    return None


def _compare(choice: Choice, base: Base | None, findings: Findings) -> None:
    path = next((each / FILE for each in (choice.folder, choice.root) if (each / FILE).exists()), None)
    theirs = base.folder / FILE if base and base.folder else None
    if path is None or theirs is None or files.same(path, theirs):
        return
    tokens, known = _tokens(path, choice.root), _tokens(theirs, None)
    for token, number in known.items():
        if tokens.get(token) != number:
            findings.wrong(
                "BaseModelMismatch",
                f"{FILE}: the token {token[:40]!r} is number {tokens.get(token, 'none')}, and {number} in the base "
                "model's; spec.baseModel.uri must name the model that the adapter was trained on",
            )
            return
    added = sorted(tokens.keys() - known.keys(), key=lambda token: tokens[token])
    if added and added != [_pad(choice)]:  # padding was never part of a prompt
        findings.wrong(
            "CheckpointUnsupported",
            f"{FILE} adds the token {added[0][:40]!r} (number {tokens[added[0]]}), which the base model's tokenizer "
            f"does not have; {MERGE}",
        )


def _tokens(path: Path, within: Path | None) -> dict[str, int]:
    """Token to number, added ones included."""
    text = files.text(path, within, _LARGEST)
    raw = text.encode()
    if any(raw.count(part) > most for part, most in _MOST.items()):
        raise CheckpointError("CheckpointInvalid", f"{path.name} is not a tokenizer's: it has too many parts.")
    content = files.parsed(raw, path.name)
    model = content.get("model")
    vocabulary = model.get("vocab") if isinstance(model, dict) else None
    pairs: Any = ()
    if isinstance(vocabulary, dict):
        pairs = vocabulary.items()
    elif isinstance(vocabulary, list):  # of Unigram: token and score, by number
        pairs = ((entry[0], number) for number, entry in enumerate(vocabulary) if isinstance(entry, list) and entry)
    added = content.get("added_tokens")
    more = [each for each in added if isinstance(each, dict)] if isinstance(added, list) else []
    found = {**dict(pairs), **{each.get("content"): each.get("id") for each in more}}
    if not all(isinstance(token, str) and type(number) is int for token, number in found.items()):
        raise CheckpointError("CheckpointInvalid", f"{path.name} has a vocabulary that is not words and numbers.")
    return found


def _pad(choice: Choice) -> str | None:
    for folder in (choice.folder, choice.root):
        try:
            token = files.json_object(folder / _CONFIG, choice.root).get("pad_token")
        except FileNotFoundError:
            continue
        return token.get("content") if isinstance(token, dict) else token
    return None


def _template(choice: Choice) -> str | None:
    """From the first folder that has one: of several with names, the one for conversations."""
    for folder in dict.fromkeys((choice.folder, choice.root)):
        try:
            return files.text(folder / _TEMPLATE, choice.root, _LONGEST)
        except FileNotFoundError:
            pass
        try:
            found = files.json_object(folder / _CONFIG, choice.root).get("chat_template")
        except FileNotFoundError:
            continue
        if isinstance(found, list):
            found = {each.get("name"): each.get("template") for each in found if isinstance(each, dict)}.get("default")
        if isinstance(found, str) and found:
            return found
    return None
