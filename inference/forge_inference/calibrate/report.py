"""The table for people, and the line that tells how far it is."""

import sys
from collections.abc import Iterator
from typing import TextIO

from forge_inference.science.genomics.profiles import LEAST, Content, Scores


def table(content: Content) -> str:
    """What was measured, and what it means."""
    questions, measured, fit = content.questions, content.measured, content.fit
    low, high = measured.accuracy_interval
    folds = f"{min(fit.folds):.3f} to {max(fit.folds):.3f}" if fit.folds else "-"
    rows = [
        f"{questions.file}: {questions.count} answers measured"
        + (f", {questions.abstained} abstained and not counted" if questions.abstained else ""),
        f"temperature   {fit.temperature:.3f} (of the folds: {folds})",
        f"accuracy      {measured.accuracy:.1%} ({low:.1%} to {high:.1%}); the same for all confidences: Brier "
        f"{measured.brier_base_rate:.4f}",
        f"AUROC         {'-' if measured.auroc is None else f'{measured.auroc:.3f}'}: that a right answer has more "
        "confidence than a wrong one",
        f"{'':14}{'before':>10}{'after':>10}   after: {measured.how}",
        *_compared(measured.before, measured.after),
        "",
        *verdict(content),
    ]
    return "\n".join(rows) + "\n"


def _compared(before: Scores, after: Scores) -> Iterator[str]:
    yield f"{'NLL':14}{before.nll:10.4f}{after.nll:10.4f}"
    yield f"{'Brier':14}{before.brier:10.4f}{after.brier:10.4f}"
    yield f"{'ECE':14}{before.ece:10.4f}{after.ece:10.4f}   95 %: {_of(before.ece_interval)}, {_of(after.ece_interval)}"
    yield (
        f"{'perfect ECE':14}{before.ece_perfect:10.4f}{after.ece_perfect:10.4f}   95 %: "
        f"{_of(before.ece_perfect_interval)}, {_of(after.ece_perfect_interval)}"
    )


def _of(interval: tuple[float, float]) -> str:
    return f"{interval[0]:.4f} to {interval[1]:.4f}"


def verdict(content: Content) -> Iterator[str]:
    """In sentences that a person can act on."""
    after, fit = content.measured.after, content.fit
    if after.is_as_perfect:
        yield "A perfectly calibrated model of this size would show as much: no error is left that this could see."
    else:
        yield (
            "NOT MENDED: a perfectly calibrated model would show less. One temperature cannot mend how this model is "
            "wrong; ask more alike questions, or train it further."
        )
    if fit.at_limit:
        yield (
            f"The temperature is at its limit ({fit.temperature:g}): "
            + ("the likelihoods say next to nothing about what is right." if fit.temperature > 1 else "all was right.")
        )
    if content.questions.count < LEAST:
        yield (
            f"TOO FEW to be called calibrated: {content.questions.count} of {LEAST} answers. A server that is given "
            "this profile goes on to say uncalibrated (questions)."
        )


class Progress:
    """Tells a run on a terminal in one line that changes; elsewhere in a line for each tenth."""

    def __init__(self, total: int, to: TextIO = sys.stderr) -> None:
        self._total, self._to, self._live = total, to, to.isatty()

    def __call__(self, done: int) -> None:
        line = f"{done} of {self._total} questions answered"
        if self._live:
            self._to.write(f"\r\x1b[K{line}")
        elif done * 10 // self._total > (done - 1) * 10 // self._total:
            self._to.write(f"{line}\n")
        self._to.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._live:
            self._to.write("\r\x1b[K")
