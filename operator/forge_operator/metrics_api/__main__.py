"""python -m forge_operator.metrics_api: settings -> parts -> run."""

import argparse
import asyncio
import logging
import sys
from pathlib import Path

from forge_operator import settings as administrator
from forge_operator.errors import InvalidSettings, OperatorError
from forge_operator.handlers import logs
from forge_operator.metrics_api import serve

logger = logging.getLogger("forge_operator.metrics_api")


def main(words: list[str] | None = None) -> int:
    """The exit status: 0 when asked to end, 1 when something failed, 2 when the settings are wrong."""
    parser = argparse.ArgumentParser(
        prog="python -m forge_operator.metrics_api",
        description="Tell autoscalers how busy model pods are: custom.metrics.k8s.io, and plain JSON for KEDA.",
    )
    parser.add_argument(
        "--config", type=Path, required=True, metavar="FILE", help="the administrator's settings (docs/architecture.md)"
    )
    parser.add_argument(
        "--service", required=True, metavar="NAME", help="our own Service; the Secret NAME-tls has its certificate"
    )
    parser.add_argument("--port", type=int, default=6443, help="TLS, for the API server (default: %(default)s)")
    parser.add_argument(
        "--plain-port", type=int, default=8080, help="probes, /metrics and KEDA's values (default: %(default)s)"
    )
    parser.add_argument(
        "--kubeconfig", type=Path, metavar="FILE", help="the cluster; default: the one that this runs in"
    )
    chosen = parser.parse_args(words)
    try:
        settings = administrator.load(chosen.config)
        logs.configure(settings)
        place = serve.Place(chosen.service, chosen.port, chosen.plain_port)
        asyncio.run(serve.run(settings, chosen.kubeconfig, place))
    except InvalidSettings as error:
        sys.stderr.write(f"forge_operator.metrics_api: {error}\n")
        return 2
    except (OperatorError, OSError) as error:
        logger.error("%s", error)
        return 1
    except Exception:
        logger.exception("a defect of the metrics server ended it")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
