"""The harness on the command line."""

import argparse
import os
import subprocess
import sys
from pathlib import Path

from tests.harness import backends, controlplane, engine, images, kind, places, toolchain
from tests.harness.errors import HarnessError
from tests.harness.steps import say


def up(options: argparse.Namespace) -> None:
    """Have a cluster with both images."""
    cluster = backends.ensure(options.kubeconfig)
    for reference in (cluster.operator_image, cluster.inference_image):
        size = f", {images.size_megabytes(reference):.0f} MB" if cluster.is_kind else ""
        say(f"image {reference}{size}")
    say(f"ready: export KUBECONFIG={cluster.kubeconfig}")


def control_plane(options: argparse.Namespace) -> None:
    """Start (or delete) the control plane alone."""
    if options.delete:
        controlplane.stop("forge", controlplane.KUBECONFIG)
        return
    controlplane.start("forge", controlplane.KUBECONFIG)
    say(f"ready: export KUBECONFIG={controlplane.KUBECONFIG}")


def down(_: argparse.Namespace) -> None:
    """Remove every cluster made here, and the engine that was started for them."""
    if toolchain.is_built("kwokctl"):
        controlplane.stop("forge", controlplane.KUBECONFIG)
    if toolchain.is_built("kind") and engine.is_running():
        kind.delete()
    engine.stop_and_forget()
    images.REFERENCES.unlink(missing_ok=True)
    say(f"removed; the caches in {places.CACHE} stay, delete the folder to free their space")


def run_program(options: argparse.Namespace) -> None:
    """Become one of the programs that the harness builds."""
    path = toolchain.program(options.program)
    raise SystemExit(subprocess.run([str(path), *options.words], check=False).returncode)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.harness", description=__doc__)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("up", help="a cluster with both images; kind unless a kubeconfig is given")
    command.add_argument("--kubeconfig", type=Path, default=os.environ.get("KUBECONFIG"))
    command.set_defaults(run=up)
    command = commands.add_parser("control-plane", help="a real API server without containers")
    command.add_argument("--delete", action="store_true")
    command.set_defaults(run=control_plane)
    command = commands.add_parser("down", help="remove the clusters, their volumes and the engine")
    command.set_defaults(run=down)
    command = commands.add_parser("run", help="run one of the built programs: " + " ".join(sorted(toolchain.PROGRAMS)))
    command.add_argument("program", choices=sorted(toolchain.PROGRAMS), metavar="PROGRAM")
    command.add_argument("words", nargs=argparse.REMAINDER)
    command.set_defaults(run=run_program)
    options = parser.parse_args()
    try:
        options.run(options)
    except HarnessError as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; `make clean-cluster` removes what was begun", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
