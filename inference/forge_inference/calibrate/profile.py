"""From scored questions to the profile that is written."""

from datetime import UTC, datetime

from forge_inference import __version__
from forge_inference.calibrate import figures
from forge_inference.calibrate.asking import Heard
from forge_inference.calibrate.fitting import FOLDS, answers, crossed, fitted
from forge_inference.calibrate.questions import FEWEST, InvalidQuestions, Questions
from forge_inference.science.genomics import profiles
from forge_inference.science.genomics.profiles import Content, Fit, Measured, ValidFor


def profile(questions: Questions, heard: Heard, bins: int, seed: int) -> Content:
    """Raises InvalidQuestions where too few were scored."""
    scored, count = heard.scored, len(heard.scored)
    if count < FEWEST:
        raise InvalidQuestions(
            f"{questions.file}: of {len(questions.all)} questions the server abstained from {heard.abstained}; {count} "
            f"are left, and below {FEWEST} a temperature is mostly chance"
        )
    own, folds = crossed(scored, seed)
    before, after = answers(scored, [1.0] * count), answers(scored, own)
    right = sum(each.right for each in after)
    accuracy, temperature = right / count, fitted(scored)
    options = [len(each.logprobs) for each in scored]
    return Content(
        format=1,
        created=datetime.now(UTC).replace(microsecond=0),
        made_by=__version__,
        fit=Fit(temperature=temperature.value, folds=tuple(folds), at_limit=temperature.at_limit),
        valid_for=ValidFor(
            **heard.circumstances.model_dump(),
            method="choice_softmax",
            answer_form="choice" if questions.form == "choice" else "yes_no_maybe",
            query_types=tuple(sorted({each.query_type for each in scored})),
            options=(min(options), max(options)),
        ),
        questions=profiles.Questions(
            file=questions.file[:255], sha256=questions.sha256, count=count, abstained=heard.abstained
        ),
        measured=Measured(
            how=f"cross-validation, {FOLDS} folds: each answer by a temperature of the others",
            seed=seed,
            bins=bins,
            accuracy=accuracy,
            accuracy_interval=figures.wilson(right, count),
            brier_base_rate=accuracy * (1 - accuracy),
            auroc=figures.auroc(after),
            before=figures.scores(before, bins, seed),
            after=figures.scores(after, bins, seed),
            reliability_before=figures.reliability(before, bins),
            reliability_after=figures.reliability(after, bins),
            risk_coverage=figures.covered(after),
        ),
    )
