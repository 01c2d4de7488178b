"""What this server serves and how: FORGE_* environment, or flags of the same names. See docs/architecture.md."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, CliSuppress, SettingsConfigDict

from forge_inference.tasks import TASKS, Task

Port = Annotated[int, Field(ge=1, le=65535)]


class InvalidSettings(Exception):
    """A setting is missing or wrong; the message names its flag and its variable."""


class Settings(BaseSettings):
    """Serve one fine-tuned model: a base model and the QLoRA adapter that was trained on it."""

    model_config = SettingsConfigDict(
        env_prefix="FORGE_",
        frozen=True,
        cli_prog_name="python -m forge_inference",
        cli_kebab_case=True,
        cli_implicit_flags=True,
        cli_hide_none_type=True,
        protected_namespaces=(),
    )

    checkpoint: Path = Field(description="folder of the adapter")
    base_model: Path = Field(description="folder of the base model")
    model_name: str = Field("", description="the name that /v1/models shows; default: the checkpoint folder's")
    quantization: Literal["nf4", "none"] = Field("nf4", description="how the base model is held in memory")
    double_quant: bool = Field(True, description="quantise the quantisation constants too")
    compute_dtype: Literal["bfloat16", "float16", "float32"] = Field("bfloat16", description="of the arithmetic")
    plan: Literal["auto", "nf4", "dequantized"] = Field(
        "auto", description="compute with four bits, or with what they stand for; auto: as the hardware asks for"
    )
    max_model_len: int = Field(2048, ge=16, description="prompt and new tokens together")
    max_queue: int = Field(64, ge=1, description="requests that wait; one more gets 429")
    max_batch: int = Field(32, ge=1, le=1024, description="requests that are answered at once")
    workers: int = Field(1, ge=1, le=64, description="processes with an engine each, which share cores and queue")
    request_timeout_seconds: float = Field(120, gt=0, description="of one request, waiting included")
    tasks: str = Field(",".join(TASKS), description="what is answered; the routes of the others refuse; with commas")
    model_roots: str = Field("", description="folders that load-model may load from, with commas; else it is off")
    lexicons: str = Field(
        "", description="tables of names instead of the built-in ones: HGNC, OBO, or folders of these; with commas"
    )
    calibration: str = Field(
        "", description="profiles that forge_inference.calibrate wrote, or folders of these; with commas"
    )
    host: str = Field("127.0.0.1", description="address to listen on")
    port: Port = Field(8000, description="the API")
    admin_port: Port = Field(8081, description="probes, Prometheus metrics, report")
    cors_origins: str = Field("", description="web pages that may ask, e.g. https://lab.example; with commas")
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="the least that is logged")
    log_format: Literal["json", "text"] = Field("text", description="json for machines")
    reload: bool = Field(False, description="for development: start again when the source changes")
    checkpoint_uri: CliSuppress[str] = Field("", description="what the manifest said, for messages")
    base_model_uri: CliSuppress[str] = Field("", description="what the manifest said, for messages")
    termination_log: CliSuppress[Path | None] = Field(None, description="where the last words go")

    @model_validator(mode="after")
    def _plan_needs_quantization(self) -> "Settings":
        if self.plan != "auto" and self.quantization == "none":
            raise ValueError(f"--plan (FORGE_PLAN): {self.plan} is a way to compute with NF4, but quantization is none")
        return self

    @model_validator(mode="after")
    def _roots_are_folders(self) -> "Settings":
        for root in self.roots:
            if not root.is_dir():
                raise ValueError(f"--model-roots (FORGE_MODEL_ROOTS): there is no folder {root}")
        return self

    @model_validator(mode="after")
    def _lexicons_are_files(self) -> "Settings":
        _must_be_there("--lexicons (FORGE_LEXICONS)", self.lexicons)
        return self

    @model_validator(mode="after")
    def _tasks_are_known(self) -> "Settings":
        named = _parts(self.tasks)
        if not named or not set(named) <= set(TASKS):
            raise ValueError(f"--tasks (FORGE_TASKS): {self.tasks!r} is not one or more of {', '.join(TASKS)}")
        return self

    @model_validator(mode="after")
    def _profiles_are_files(self) -> "Settings":
        _must_be_there("--calibration (FORGE_CALIBRATION)", self.calibration)
        return self

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model_name or self.checkpoint.resolve().name

    @property
    def origins(self) -> list[str]:
        """Web pages that may ask."""
        return _parts(self.cors_origins)

    @property
    def roots(self) -> list[Path]:
        """Folders that a model may be loaded from while another one is served."""
        return [Path(root) for root in _parts(self.model_roots)]

    @property
    def lexicon_files(self) -> list[Path]:
        """A lab's own tables of names."""
        return [file for path in _parts(self.lexicons) for file in _files(Path(path))]

    @property
    def served(self) -> tuple[Task, ...]:
        """The tasks whose routes answer."""
        return tuple(task for task in TASKS if task in _parts(self.tasks))

    @property
    def calibration_files(self) -> list[Path]:
        """What makes confidence calibrated."""
        return [file for path in _parts(self.calibration) for file in _files(Path(path))]

    def instead(self, checkpoint: Path, quantize: bool | None) -> "Settings":
        """To serve another checkpoint of the same base model; `quantize` None: the base model as it is now."""
        changed: dict[str, object] = {"checkpoint": checkpoint}
        if quantize is not None:
            method = self.quantization if self.quantization != "none" else "nf4"
            changed |= {"quantization": method} if quantize else {"quantization": "none", "plan": "auto"}
        return self.model_copy(update=changed)


def _parts(listed: str) -> list[str]:
    return [part.strip() for part in listed.split(",") if part.strip()]


def _files(path: Path) -> list[Path]:
    """It, or the files of a folder but for hidden ones; none where there is nothing."""
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file() and not file.name.startswith("."))
    return [path] if path.is_file() else []


def _must_be_there(setting: str, listed: str) -> None:
    for path in _parts(listed):
        try:
            if not _files(Path(path)):
                raise ValueError(f"{setting}: there is no file {path}")
        except OSError as error:
            raise ValueError(f"{setting}: {path}: {error.strerror}") from error


def read(words: list[str]) -> Settings:
    """From flags and environment; a flag wins. Raises InvalidSettings; SystemExit for --help and unknown flags."""
    try:
        return Settings(_cli_parse_args=words)  # type: ignore[call-arg]
    except ValidationError as error:
        raise InvalidSettings("; ".join(_sentence(e["loc"], e["msg"]) for e in error.errors())) from error


def _sentence(place: tuple[int | str, ...], problem: str) -> str:
    if not place:  # of several settings together; the message names them
        return problem.removeprefix("Value error, ")
    field = str(place[0])
    return f"--{field.replace('_', '-')} (FORGE_{field.upper()}): {problem}"
