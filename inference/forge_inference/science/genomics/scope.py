"""What answers are not for. A sentence in a prompt stops nobody; what a question asks for is told, and counted."""

import re

NOTICE = {
    "use": "research_use_only",
    "not_for": ["diagnosis", "treatment", "variant_classification"],
    "text": "For research. Not for diagnosis, treatment, or the classification of a patient's variants. What the model "
    "knows ends with its training.",
}
_GIVING = r"(?:give|take|prescribe|start|recommend|should)"
_DOSE = r"(?:dos(?:e|es|ing|age)|mg|mg/kg)"
_PATTERNS = {
    flag: re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for flag, pattern in (
        (
            "individual_patient",
            r"\b(?:my|our|this|the) (?:patient|child|son|daughter|wife|husband|mother|father)\b"
            r"|\b(?:i|he|she) (?:was|am|is|has been) diagnosed\b|\bshould i\b",
        ),
        ("dosing", rf"\b{_DOSE}\b.{{0,60}}\b{_GIVING}\b|\b{_GIVING}\b.{{0,60}}\b{_DOSE}\b|\bwhat dose\b"),
        (
            "pathogenicity",
            r"\b(?:pathogenic|benign|vus|acmg)\b.{0,40}\?|\bclassify\b.{0,40}\bvariant"
            r"|\b(?:variant|mutation)\b.{0,60}\b(?:pathogenic|benign|harmful|dangerous)\b",
        ),
    )
}


def flags(query: str) -> list[str]:
    """What of a question goes beyond research."""
    return [flag for flag, pattern in _PATTERNS.items() if pattern.search(query)]
