"""A copy of a text for comparing, character for character as long as the text: spans hold in both."""

_FOLDS = str.maketrans(
    {
        "\u00b5": "μ",  # the micro sign
        "\u03d5": "φ",
        "\u03f5": "ε",
        "\u03d1": "θ",
        **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d", "-"),
        **dict.fromkeys("\u2018\u2019\u201a\u201b\u02bc\u02b9\u2032", "'"),
        **dict.fromkeys("\u201c\u201d\u201e\u201f\u2033", '"'),
        **dict.fromkeys("\u00a0\u2009\u202f\t\n", " "),
    }
)


def folded(text: str) -> str:
    """Dashes, quotes, primes and look-alike Greek letters as one of each; letters keep their case."""
    return text.translate(_FOLDS)
