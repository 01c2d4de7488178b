"""How sure the model was of an answer, by what method, and whether that is a chance of its being right."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from forge_inference.engine.contract import Chunk
from forge_inference.science.genomics.answers import Cited
from forge_inference.science.genomics.confidence import Agreement, softmax
from forge_inference.science.genomics.profiles import LEAST, Profile, nearest, told
from forge_inference.web.asking import Option
from forge_inference.web.genomics_schemas import Query

_FIELDS = {
    "answer_form": "another form of answer",
    "query_type": "other types of questions",
    "options": "other numbers of options",
    "questions": f"nothing yet: it rests on fewer than {LEAST} questions",
    "ece": "nothing: measured with it, confidence was further off than chance would be",
}


def confidence(
    body: Query,
    chunks: Sequence[Chunk],
    options: Sequence[Option],
    agreement: Agreement | None,
    provenance: Mapping[str, Any],
    profiles: Sequence[Profile],
) -> dict[str, Any]:
    """Never what the model says of itself. Nothing here is a chance of being right unless a profile says so.

    `chunks` are of a written answer, `agreement` of several; `options` of a closed question. Of an answer that is
    withheld none of them is given.
    """
    told_: dict[str, Any] = {
        "value": None,
        "kind": "uncalibrated",
        "calibrated": False,
        "method": "none",
        "interpretation": "no confidence is told",
        "calibration": None,
        "calibration_mismatch": None,
    }
    if body.confidence.method == "none":
        return told_
    if options:
        return told_ | _likeliest(body, options, provenance, profiles)
    if agreement:
        return told_ | _agreeing(agreement)
    if (mean := mean_logprob(chunks)) is None:
        return told_
    return told_ | {
        "value": math.exp(mean),
        "method": "sequence_logprob",
        "interpretation": "the geometric mean of the tokens' probabilities: for ranking; not a chance of being right",
    }


def evidence(said: Cited, chunks: Sequence[Chunk], has_context: bool) -> dict[str, Any]:
    """What else speaks for an answer or against it; never folded into a number."""
    return {
        "claims": len(said.claims),
        "supported_claims": said.supported,
        "mean_logprob": mean_logprob(chunks),
        "truncated": bool(chunks) and chunks[-1].finish == "length",
        "context_present": has_context,
    }


def mean_logprob(chunks: Sequence[Chunk]) -> float | None:
    logprobs = [chunk.logprob for chunk in chunks if not chunk.closing]
    return math.fsum(logprobs) / len(logprobs) if logprobs else None


def _agreeing(found: Agreement) -> dict[str, Any]:
    return {
        "value": found.share,
        "method": "answer_frequency",
        "samples": found.samples,
        "agreeing": found.agreeing,
        "interpretation": f"{found.samples} samples, {found.agreeing} said the same; not a chance of being right",
    }


def _likeliest(
    body: Query, options: Sequence[Option], provenance: Mapping[str, Any], profiles: Sequence[Profile]
) -> dict[str, Any]:
    """`options` begin with the likeliest."""
    plain = {
        "value": options[0].probability,
        "method": "choice_softmax",
        "interpretation": "how likely the model finds this option among those given; not a chance of being right",
    }
    answered = told(provenance) if profiles else None
    found = answered and nearest(profiles, answered, body.answer_form, body.query_type, len(options))
    if not found:
        return plain
    profile, differs = found
    if differs:
        what = ", ".join(_FIELDS.get(field, f"another {field}") for field in differs)
        return plain | {
            "interpretation": f"{plain['interpretation']}. The profile {profile.name} is for {what}",
            "calibration_mismatch": differs,
        }
    return {
        "value": softmax([option.logprob for option in options], profile.content.fit.temperature)[0],
        "kind": "calibrated",
        "calibrated": True,
        "method": "choice_softmax",
        "interpretation": _meaning(profile),
        "calibration": _calibration(profile),
    }


def _meaning(profile: Profile) -> str:
    count, after = profile.content.questions.count, profile.content.measured.after
    said = f"a chance of being right, if the question is like the {count} of {profile.content.questions.file}"
    return f"{said} (ECE {after.ece:.3f}; a perfectly calibrated model would show {after.ece_perfect:.3f})"


def _calibration(profile: Profile) -> dict[str, Any]:
    content = profile.content
    measured, after = content.measured, content.measured.after
    return {
        "profile": profile.name,
        "sha256": profile.sha256,
        "fit": "temperature",
        "temperature": content.fit.temperature,
        "dataset": content.questions.file,
        "dataset_sha256": content.questions.sha256,
        "questions": content.questions.count,
        "accuracy": measured.accuracy,
        "ece": after.ece,
        "ece_interval": after.ece_interval,
        "ece_bins": measured.bins,
        "ece_perfect_model": after.ece_perfect,
        "ece_perfect_model_interval": after.ece_perfect_interval,
        "brier": after.brier,
        "brier_base_rate": measured.brier_base_rate,
        "auroc": measured.auroc,
        "valid_for": content.valid_for.model_dump(),
    }
