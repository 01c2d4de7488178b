"""python -m forge_operator: settings -> parts -> run."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from forge_operator import settings as administrator
from forge_operator.errors import InvalidSettings, OperatorError
from forge_operator.handlers import logs, startup

logger = logging.getLogger("forge_operator")


def main(words: list[str] | None = None) -> int:
    """The exit status: 0 when asked to end, 1 when something failed, 2 when the settings are wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m forge_operator", description="Serve what ScientificModel resources ask for."
    )
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the administrator's settings (docs/architecture.md)"
    )
    parser.add_argument(
        "--kubeconfig", type=Path, metavar="FILE", help="the cluster; default: the one that this runs in"
    )
    chosen = parser.parse_args(words)
    try:
        settings = administrator.load(chosen.config)
        logs.configure(settings)
        asyncio.run(startup.run(settings, chosen.kubeconfig))
    except InvalidSettings as error:
        sys.stderr.write(f"forge_operator: {error}\n")
        return 2
    except (OperatorError, OSError) as error:
        logger.error("%s", error)
        return 1
    except Exception:
        logger.exception("a defect of the operator ended it")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
