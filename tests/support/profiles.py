"""Questions whose answers are known, and profiles that were made of them."""

import json
import random
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from forge_inference.calibrate.asking import Heard, Scored
from forge_inference.calibrate.profile import profile
from forge_inference.calibrate.questions import Questions
from forge_inference.science.genomics.confidence import softmax
from forge_inference.science.genomics.profiles import Circumstances

SERVED = Circumstances(
    base_model_digest="sha256:bb",
    adapter_digest="sha256:aa",
    quantization="nf4/double/bfloat16",
    chat_template_sha256=None,
    wording_sha256="sha256:cc",
)


def a_question(number: int, **changes: Any) -> dict[str, Any]:
    """A line of a file; no two numbers are the same question."""
    asked = {"query": f"Is GENE{number} a chloride channel?", "query_type": "gene_function"}
    return {**asked, "answer_form": "yes_no_maybe", "expected": "yes", **changes}


def written(path: Path, lines: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    return path


def a_profile(
    path: Path,
    served: Circumstances = SERVED,
    *,
    count: int = 200,
    temperature: float = 2.0,
    form: str = "yes_no_maybe",
) -> Path:
    """Of a model that boasts: its likelihoods are right once they are divided by the temperature."""
    path.write_text(_content(served, count, temperature, form))
    return path


@cache
def _content(served: Circumstances, count: int, temperature: float, form: str) -> str:
    chance, scored = random.Random(1), []
    for _ in range(count):
        logprobs = tuple(chance.gauss(-4, 2) for _ in range(3))
        [right] = chance.choices(range(3), softmax(logprobs, temperature))
        scored.append(Scored(logprobs, right, "gene_function"))
    questions = Questions("lab.jsonl", "sha256:dd", form, ())
    return profile(questions, Heard(tuple(scored), 0, served), bins=10, seed=0).model_dump_json(indent=1)
