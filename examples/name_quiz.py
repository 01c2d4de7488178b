"""Questions with known answers, to try calibration with: what kind of thing is a name of the built-in tables?

    python examples/name_quiz.py > quiz.jsonl
    python -m forge_inference.calibrate quiz.jsonl --url http://localhost:8000 --out quiz.json --plot quiz.svg

A rehearsal of docs/guides/calibrate.md. What holds for these questions holds for no others: calibrate with your own.
"""

import json
import random

from forge_inference.science.concepts.lexicon import tables

KINDS = {"gene": "gene", "disease": "disease", "drug": "drug", "pathway": "biological process"}
EACH = 100


def main() -> None:
    chance, asked = random.Random(1), []
    for table in tables():
        if table.type in KINDS:
            names = sorted({entry.name for entry in table.entries})
            asked += [(name, KINDS[table.type]) for name in chance.sample(names, min(EACH, len(names)))]
    chance.shuffle(asked)
    for name, kind in asked:
        question = {
            "query": f"What is {name}?",
            "query_type": "gene_function",
            "answer_form": "choice",
            "choices": list(KINDS.values()),
            "expected": kind,
        }
        print(json.dumps(question, ensure_ascii=False))


if __name__ == "__main__":
    main()
