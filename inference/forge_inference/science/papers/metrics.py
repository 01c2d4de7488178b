"""Measures of performance: what they are called, what values they can have, and which way is better."""

import re
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Metric:
    """Values lie in 0…1 or, as percent, in 0…100 unless `unbounded`."""

    id: str
    words: str
    higher_is_better: bool = True
    unbounded: bool = False


METRICS: tuple[Metric, ...] = (
    Metric("exact_match", r"EM|[Ee]xact[ -]match"),
    Metric("f1", r"(?:(?:[Mm]acro|[Mm]icro|[Ww]eighted)[- ])?F1(?:[- ][Ss]cores?)?|F-measure"),
    Metric("balanced_accuracy", r"[Bb]alanced accuracy"),
    Metric("accuracy", r"[Aa]ccurac(?:y|ies)|Acc\.?"),
    Metric("mrr", r"MRR|[Mm]ean reciprocal rank"),
    Metric("ndcg", r"nDCG(?:@\d{1,4})?|NDCG(?:@\d{1,4})?"),
    Metric("recall_at_k", r"(?:[Rr]ecall|R|Hits)@\d{1,4}"),
    Metric("auprc", r"AUPRC|AUPR|PR-AUC|(?:[Mm]ean )?[Aa]verage precision"),
    Metric("auroc", r"AUROC|ROC-AUC|AUC(?:-ROC)?|[Aa]rea under the (?:ROC|receiver operating characteristic) curve"),
    Metric("c_index", r"[Cc]-index|[Cc]oncordance index"),
    Metric("map", r"mAP(?:@[\d.:]{1,10})?"),
    Metric("dice", r"[Dd]ice(?: (?:score|coefficient|similarity coefficient))?|DSC"),
    Metric("iou", r"m?IoU|[Jj]accard(?: index)?"),
    Metric("sensitivity", r"[Ss]ensitivity"),
    Metric("specificity", r"[Ss]pecificity"),
    Metric("precision", r"[Pp]recision"),
    Metric("recall", r"[Rr]ecall"),
    Metric("mcc", r"MCC|Matthews correlation coefficient"),
    Metric("bleu", r"(?:Sacre)?BLEU(?:-4)?"),
    Metric("rouge_1", r"ROUGE-1"),
    Metric("rouge_2", r"ROUGE-2"),
    Metric("rouge_l", r"ROUGE-L"),
    Metric("bertscore", r"BERTScore"),
    Metric("r2", r"R²|R2"),
    Metric("rmse", r"RMSE|[Rr]oot[- ]mean[- ]square(?:d)? error", higher_is_better=False, unbounded=True),
    Metric("mae", r"MAE|[Mm]ean absolute error", higher_is_better=False, unbounded=True),
    Metric("perplexity", r"[Pp]erplexity|PPL", higher_is_better=False, unbounded=True),
    Metric("wer", r"WER|[Ww]ord error rate", higher_is_better=False),
)
NAMED = re.compile("|".join(f"(?P<{metric.id}>(?<![\\w-])(?:{metric.words})(?![\\w@-]))" for metric in METRICS))
BY_ID = {metric.id: metric for metric in METRICS}
