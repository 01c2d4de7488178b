"""What a checkpoint needs into memory: base model and adapter, or a whole model. Nothing is merged, nothing fetched."""

import logging
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from transformers.utils.logging import disable_progress_bar

from forge_inference.checkpoint import base as base_room
from forge_inference.checkpoint import layout, preflight
from forge_inference.checkpoint import tokenizer as tokenizer_room
from forge_inference.checkpoint.base import Base
from forge_inference.checkpoint.errors import CheckpointError
from forge_inference.checkpoint.preflight import Adapter
from forge_inference.engine import attention, plans
from forge_inference.engine.adapters import Adapters
from forge_inference.engine.contract import CHECKPOINT, ComputeDtype, Plan, Quantization
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
    tokenizer_folder: Path
    base: Base  # what `model` was read from
    adapter: Adapter  # what the checkpoint is; it may be the whole model
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
            choice = layout.choose(sources.checkpoint, sources.checkpoint_uri)
            whole, folder, uri = choice.kind == "model", sources.base_model, sources.base_model_uri
            if whole:
                folder, uri = choice.folder, sources.checkpoint_uri
                base = base_room.read(folder, uri, base_room.CHECKPOINT)
                adapter = preflight.whole(choice, base, sources.base_model)
            else:
                base = base_room.read(folder, uri)
                adapter = preflight.check(sources.checkpoint, sources.checkpoint_uri, base)
            for note in adapter.notes:
                logger.warning("checkpoint: %s", note)
            logger.info("checkpoint: %s in %s, because %s", choice.kind, adapter.choice.name, choice.why)
            quantization = plans.arithmetic(device, _quantization(base, uri, sources.quantization))
            plan = sources.plan or plans.choose(device, base, quantization)
            _must_run_on(device, base, quantization, plan)
        with _step(f"loading the base model on {device}"):
            tokens = tokenizer_room.folder_of(choice, sources.base_model) if whole else folder
            tokenizer = AutoTokenizer.from_pretrained(tokens, **_LOCAL)
            if adapter.chat_template:
                tokenizer.chat_template = adapter.chat_template
            model, found = AutoModelForCausalLM.from_pretrained(
                folder,
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
                    f"{uri}: the safetensors files lack {min(found['missing_keys'])}, "
                    "which config.json asks for; copy or save the model again.",
                )
        model.eval()
        attention.use(model)
        if plan == "dequantized":
            with _step("dequantising"):
                plans.dequantize(model, getattr(torch, quantization.compute_dtype))
        with _step("loading the adapter"):
            # On a CPU, starting a small multiplication in 16 bits takes longer than computing it in 32.
            numbers = torch.float32 if device.type == "cpu" else getattr(torch, quantization.compute_dtype)
            adapters = Adapters(model, numbers, device)
            if whole:
                adapters.stand_for(CHECKPOINT, adapter)
            else:
                adapters.add(CHECKPOINT, adapter)
        if adapter.watched.changed():
            raise CheckpointError(
                "CheckpointIncomplete",
                f"Checkpoint {sources.checkpoint_uri} changed while it was read. It is read again; if that goes on, "
                "name a folder that nothing writes to.",
            )
    except CheckpointError as error:
        raise LoadError(error.reason, str(error)) from error
    except PermissionError as error:
        ours = Path(error.filename).resolve().is_relative_to(sources.checkpoint.resolve())
        raise LoadError(
            "CheckpointNotFound" if ours else "BaseModelNotFound",
            f"{error.filename} may not be read by user {os.getuid()}; change the volume's permissions.",
        ) from error
    rows = model.get_input_embeddings().num_embeddings
    if max(tokenizer.get_vocab().values()) >= rows:
        raise LoadError(
            "BaseModelMismatch",
            f"{tokens}: tokenizer.json has tokens beyond the {rows} rows of the embedding of {uri}.",
        )
    return Weights(model, tokenizer, tokens, base, adapter, adapters, plan, quantization, device)


def _quantization(base: Base, uri: str, wanted: Quantization) -> Quantization:
    """As asked for, unless the model's own files decide."""
    if not base.quantized:
        return wanted
    own = base.config["quantization_config"]
    if not isinstance(own, dict) or own.get("bnb_4bit_quant_type") != "nf4":
        raise LoadError(
            "BaseModelMismatch",
            f"{uri}: config.json: quantization_config is not bitsandbytes NF4 but {_kind(own)}; use the model as it "
            "was before quantisation.",
        )
    dtype = own.get("bnb_4bit_compute_dtype", wanted.compute_dtype)
    if dtype not in get_args(ComputeDtype):
        dtype = wanted.compute_dtype
    return Quantization("nf4", bool(own.get("bnb_4bit_use_double_quant")), dtype)


def _kind(own: object) -> str:
    """In a word, as config.json tells of it."""
    if not isinstance(own, dict):
        return "no object"
    if own.get("load_in_8bit"):
        return "bitsandbytes int8"
    return str(own.get("bnb_4bit_quant_type") or own.get("quant_method") or "unknown")[:40]


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
    if device.type != "cpu" or quantization.method == "none" or plan != "nf4":
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
