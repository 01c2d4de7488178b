"""`python -m tests.bench_scaling`: measures on a real cluster and writes docs/benchmarks.md and the guide's figure."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from forge_operator.api.scaling import METRICS
from tests.bench_scaling import report
from tests.bench_scaling.run import Wish, measured
from tests.harness import backends
from tests.harness.errors import HarnessError
from tests.harness.places import ROOT
from tests.harness.steps import say

PAGE = ROOT / "docs" / "benchmarks.md"
FIGURE = ROOT / "docs" / "guides" / "autoscale.svg"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_scaling", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, default=os.environ.get("KUBECONFIG"))
    parser.add_argument("--metric", choices=METRICS, default="QueueDepth", help="scaled by (default: %(default)s)")
    parser.add_argument("--target", type=float, default=4, help="of each replica (default: %(default)s)")
    parser.add_argument("--delay", type=int, default=60, help="scaleDownDelaySeconds (default: %(default)s)")
    parser.add_argument("--busy", type=float, default=300, help="seconds of the high rate")
    parser.add_argument("--calm", type=float, default=150, help="seconds of the low rate after it")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    options = parser.parse_args()
    wish = Wish(options.metric, options.target, options.delay)
    try:
        cluster = backends.ensure(options.kubeconfig)
        if not cluster.is_kind:
            raise HarnessError("the checkpoint is put on the node itself, which only a cluster made here allows")
        with tempfile.TemporaryDirectory() as folder:
            found = measured(cluster, wish, options.busy, options.calm, Path(folder))
    except (HarnessError, TimeoutError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print(report.section(found))
    if not options.dry_run:
        report.write(found, PAGE, FIGURE)
        say(f"written to {PAGE.relative_to(ROOT)} and {FIGURE.relative_to(ROOT)}")
    return 0 if report.changes(found) <= report.CHANGES else 1


if __name__ == "__main__":
    sys.exit(main())
