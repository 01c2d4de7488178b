"""The base model into memory, quantised as the adapter was trained. Nothing is merged, nothing is fetched."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from transformers.utils.logging import disable_progress_bar

from forge_inference.checkpoint import base as base_room
from forge_inference.checkpoint import preflight
from forge_inference.checkpoint.base import Base
from forge_inference.checkpoint.errors import CheckpointError
from forge_inference.checkpoint.preflight import Adapter
from forge_inference.engine import attention, plans
from forge_inference.engine.adapters import Adapters
from forge_inference.engine.contract import CHECKPOINT, Plan, Quantization
from forge_inference.engine.errors import LoadError

logger = logging.getLogger(__name__)

_LOCAL = {"local_files_only": True, "trust_remote_code": False}
# Hears what is being done. Each engine loads in a thread of its own, and a thread begins with a context of its own.
listener: ContextVar[Callable[[str], None]] = ContextVar("listener", default=lambda _: None)


@dataclass(frozen=True)
class Sources:
    """What to load; the URIs are what the manifest said, for messages."""

    checkpoint: Path
    base_model: Path
    checkpoint_uri: str
    base_model_uri: str
    quantization: Quantization
    plan: Plan | None = None  # None: as the hardware asks for


@dataclass
class Weights:
    """What was loaded."""

    model: Any  # of transformers, in evaluation mode, with `adapters` on its layers
    tokenizer: Any
    base: Base
    adapter: Adapter
    adapters: Adapters
    plan: Plan
    quantization: Quantization  # as it is: the base model may be stored quantised already
    device: torch.device


def load(sources: Sources) -> Weights:
    """Raises LoadError with the reason for the pod's last words."""
    disable_progress_bar()  # logs are read by machines
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        with _step("checking files"):
            base = base_room.read(sources.base_model, sources.base_model_uri)
            adapter = preflight.check(sources.checkpoint, sources.checkpoint_uri, base)
            quantization = plans.arithmetic(device, _quantization(base, sources))
            plan = sources.plan or plans.choose(device, base, quantization)
            _must_run_on(device, base, quantization, plan)
        with _step(f"loading the base model on {device}"):
            tokenizer = tokenizer_of(sources)
            model, found = AutoModelForCausalLM.from_pretrained(
                sources.base_model,
                dtype=getattr(torch, quantization.compute_dtype),
                device_map={"": device},
                use_safetensors=True,
                output_loading_info=True,
                **({} if base.quantized else _bitsandbytes(quantization)),
                **_LOCAL,
            )
            if found["missing_keys"]:  # transformers fills them with random numbers
                raise LoadError(
                    "BaseModelMismatch",
                    f"Base model {sources.base_model_uri}: the safetensors files lack {min(found['missing_keys'])}, "
                    "which config.json asks for; copy or save the model again.",
                )
        model.eval()
        attention.use(model)
        if plan == "dequantized":
            with _step("dequantising"):
                plans.dequantize(model, getattr(torch, quantization.compute_dtype))
        with _step("loading the adapter"):
            adapters = Adapters(model, getattr(torch, quantization.compute_dtype), device)
            adapters.add(CHECKPOINT, sources.checkpoint, adapter)
    except CheckpointError as error:
        raise LoadError(error.reason, str(error)) from error
    except PermissionError as error:
        ours = Path(error.filename).is_relative_to(sources.checkpoint)
        raise LoadError(
            "CheckpointNotFound" if ours else "BaseModelNotFound",
            f"{error.filename} may not be read by user {os.getuid()}; change the volume's permissions.",
        ) from error
    rows = model.get_input_embeddings().num_embeddings
    if max(tokenizer.get_vocab().values()) >= rows:
        raise LoadError(
            "BaseModelMismatch",
            f"Base model {sources.base_model_uri}: tokenizer.json has tokens beyond the {rows} rows of the embedding.",
        )
    return Weights(model, tokenizer, base, adapter, adapters, plan, quantization, device)


def tokenizer_of(sources: Sources) -> Any:
    return AutoTokenizer.from_pretrained(sources.base_model, **_LOCAL)


def _quantization(base: Base, sources: Sources) -> Quantization:
    """As asked for, unless the base model's own files decide."""
    if not base.quantized:
        return sources.quantization
    own = base.config["quantization_config"]
    if not isinstance(own, dict) or own.get("bnb_4bit_quant_type") != "nf4":
        raise LoadError(
            "BaseModelMismatch",
            f"Base model {sources.base_model_uri}: config.json: quantization_config is not bitsandbytes NF4; "
            "use the model as it was before quantisation.",
        )
    dtype = own.get("bnb_4bit_compute_dtype", sources.quantization.compute_dtype)
    return Quantization("nf4", bool(own.get("bnb_4bit_use_double_quant")), dtype)


def _bitsandbytes(quantization: Quantization) -> dict[str, BitsAndBytesConfig]:
    """Arguments for transformers; an explicit None would make it forget what config.json says."""
    if quantization.method == "none":
        return {}
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=quantization.double_quant,
        bnb_4bit_compute_dtype=getattr(torch, quantization.compute_dtype),
    )
    return {"quantization_config": config}


def _must_run_on(device: torch.device, base: Base, quantization: Quantization, plan: Plan) -> None:
    """bitsandbytes' CPU kernel ends the process, without an error, for layers of other sizes."""
    if device.type != "cpu" or quantization.method == "none" or base.quantized or plan != "nf4":
        return
    for name, (out, into) in base.linear().items():
        if out % 32 or into % 64:
            raise LoadError(
                "BaseModelMismatch",
                f"Layer {name} has {out} x {into} weights; NF4 on a CPU needs multiples of 32 x 64. Set "
                "spec.quantization.method none, or use a profile with a GPU.",
            )


@contextmanager
def _step(what: str) -> Iterator[None]:
    start = time.monotonic()
    listener.get()(what)
    logger.info("%s ...", what)
    yield
    logger.info("%s: %.1f s", what, time.monotonic() - start)
