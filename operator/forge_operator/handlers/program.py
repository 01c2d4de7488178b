"""From a command line to an exit status, for each program of the operator's image."""

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from forge_operator import settings as administrator
from forge_operator.errors import InvalidSettings, OperatorError
from forge_operator.handlers import logs
from forge_operator.settings import Settings


def parser(module: str, description: str) -> argparse.ArgumentParser:
    """With the flags that all programs have: `config` and `kubeconfig`."""
    made = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    made.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the administrator's settings (docs/architecture.md)"
    )
    made.add_argument("--kubeconfig", type=Path, metavar="FILE", help="the cluster; default: the one that this runs in")
    return made


def ended(module: str, called: str, config: Path, run: Callable[[Settings], Coroutine[Any, Any, None]]) -> int:
    """Run it with the settings in this file. `called`: what people call it.

    The exit status: 0 when asked to end, 1 when something failed, 2 when the settings are wrong.
    """
    logger = logging.getLogger(module)
    try:
        settings = administrator.load(config)
        logs.configure(settings)
        asyncio.run(run(settings))
    except InvalidSettings as error:
        sys.stderr.write(f"{module}: {error}\n")
        return 2
    except (OperatorError, OSError) as error:
        logger.error("%s", error)
        return 1
    except Exception:
        logger.exception("a defect of %s ended it", called)
        return 1
    return 0
