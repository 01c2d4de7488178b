"""python -m forge_operator.metrics_api: settings -> parts -> run."""

import sys

from forge_operator.handlers import program
from forge_operator.metrics_api import serve

_MODULE = "forge_operator.metrics_api"


def main(words: list[str] | None = None) -> int:
    """The exit status."""
    parser = program.parser(
        _MODULE, "Tell autoscalers how busy model pods are: custom.metrics.k8s.io, and plain JSON for KEDA."
    )
    parser.add_argument(
        "--service", required=True, metavar="NAME", help="our own Service; the Secret NAME-tls has its certificate"
    )
    parser.add_argument("--port", type=int, default=6443, help="TLS, for the API server (default: %(default)s)")
    parser.add_argument(
        "--plain-port", type=int, default=8080, help="probes, /metrics and KEDA's values (default: %(default)s)"
    )
    chosen = parser.parse_args(words)
    place = serve.Place(chosen.service, chosen.port, chosen.plain_port)
    return program.ended(
        _MODULE, "the metrics server", chosen.config, lambda settings: serve.run(settings, chosen.kubeconfig, place)
    )


if __name__ == "__main__":
    sys.exit(main())
