"""python -m forge_operator: settings -> parts -> run."""

import sys

from forge_operator.handlers import program, startup

_MODULE = "forge_operator"


def main(words: list[str] | None = None) -> int:
    """The exit status."""
    chosen = program.parser(_MODULE, "Serve what ScientificModel resources ask for.").parse_args(words)
    return program.ended(
        _MODULE, "the operator", chosen.config, lambda settings: startup.run(settings, chosen.kubeconfig)
    )


if __name__ == "__main__":
    sys.exit(main())
