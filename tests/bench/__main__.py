"""`python -m tests.bench`: measures on a control plane of its own and writes docs/benchmarks.md."""

import argparse
import os
import sys
import tempfile
from pathlib import Path

from tests.bench import report
from tests.bench.campaign import Campaign, Figures
from tests.harness import controlplane
from tests.harness.errors import HarnessError
from tests.harness.places import ROOT
from tests.harness.steps import say
from tests.support import operators
from tests.support.kube import AuditLog, connected
from tests.support.pods import admin_port

PAGE = ROOT / "docs" / "benchmarks.md"


def measured(models: int, watched: float, folder: Path) -> Figures:
    """One campaign on a control plane that exists for it alone."""
    name, kubeconfig = f"forge-bench-{os.getpid()}", folder / "kubeconfig"
    try:
        plane = controlplane.start(name, kubeconfig)
        with connected(plane.kubeconfig) as kube, admin_port():
            installed = operators.install(kube, folder, "forge-system")
            operators.await_crd(kube)
            return Campaign(kube, installed, AuditLog(plane.audit_log), folder, say).run(models, watched)
    finally:
        controlplane.stop(name, kubeconfig)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--models", type=int, default=500)
    parser.add_argument("--rest", type=float, default=60, help="seconds for which the resting operator is watched")
    parser.add_argument("--dry-run", action="store_true", help=f"do not write {PAGE.relative_to(ROOT)}")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            figures = measured(options.models, options.rest, Path(folder))
    except (HarnessError, OSError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print(report.section(figures))
    if not options.dry_run:
        report.write(figures, PAGE)
        say(f"written to {PAGE.relative_to(ROOT)}")
    return 0 if all(kept for *_, kept in report.rows(figures)) else 1


if __name__ == "__main__":
    sys.exit(main())
