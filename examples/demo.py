"""From nothing to a fine-tuned model that answers through its Service: `make demo`.

Needs no cluster: without --kubeconfig (or KUBECONFIG) it makes one with kind. Safe to run twice; what is already
there is used again.
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import yaml

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))  # this runs as a script, and the harness is a package of the clone

from tests.harness import backends, kind, places  # noqa: E402
from tests.harness.backends import Cluster  # noqa: E402
from tests.harness.errors import HarnessError  # noqa: E402
from tests.harness.steps import run, say, step  # noqa: E402
from tests.harness.toolchain import program  # noqa: E402

OPERATOR_NAMESPACE, NAMESPACE, MODEL = "forge-system", "lab", "gene-facts"
LOADER = "checkpoint-loader"
NODE_FOLDER = "/var/lib/forge-models"  # what checkpoint-volume.yaml mounts
QUESTION = "What is the function of HBB?"
READY_LIMIT = 900.0  # seconds; the first pod of a 6 GB image on a slow disk
# A condition that is False is the user's turn, but a claim may be unbound for a moment.
FALSE_LIMIT = 90.0


class Kubectl:
    """kubectl on one cluster."""

    def __init__(self, kubeconfig: Path) -> None:
        self.command = [str(program("kubectl")), "--kubeconfig", str(kubeconfig)]

    def __call__(self, *words: str | Path, stdin: str | None = None) -> str:
        return run([*self.command, *words], stdin=stdin.encode() if stdin else None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--kubeconfig", type=Path, default=os.environ.get("KUBECONFIG") or None, help="a cluster of your own"
    )
    options = parser.parse_args()
    try:
        demo(options.kubeconfig)
    except HarnessError as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; `make demo` goes on from here, `make clean-cluster` removes all", file=sys.stderr)
        return 130
    return 0


def demo(kubeconfig: Path | None) -> None:
    heading("1, 2", "a cluster, and both images in it")
    cluster = backends.ensure(kubeconfig)
    kubectl = Kubectl(cluster.kubeconfig)

    heading("3", "a checkpoint: a small instruct model, fine-tuned with QLoRA on gene facts")
    checkpoint = trained()
    kubectl("apply", "-f", HERE / "namespace.yaml")
    store(checkpoint, cluster, kubectl)

    heading("4", "the operator, and a ScientificModel that names the checkpoint")
    install(cluster)
    say(kubectl("apply", "--validate=strict", "-f", HERE / "scientificmodel.yaml").strip())

    heading("5", "Ready means: a generation through the adapter succeeded")
    model = await_ready(kubectl)
    print(kubectl("get", "scim", "-A"))
    service = urlsplit(model["status"]["url"]).hostname.split(".")[0]
    with forwarded(kubectl, f"service/{service}", 80) as url:
        compare(url)
        heading("6", "every endpoint, errors included")
        with forwarded(kubectl, f"deployment/{service}", 8081) as admin_url:
            visit(url, admin_url)
    print(next_steps(kubectl, cluster, service))


def heading(number: str, text: str) -> None:
    print(f"\n=== {number}. {text}", flush=True)


def trained() -> Path:
    """A folder that is laid out as the volume will be; made once for one script and one set of facts."""
    script, facts = HERE / "train_qlora.py", HERE / "gene_facts.jsonl"
    digest = hashlib.sha256(script.read_bytes() + facts.read_bytes()).hexdigest()[:12]
    folder = places.cached(f"checkpoint-{digest}")
    command = [sys.executable, script, "--out", folder / "runs" / MODEL, "--base-out", folder / "base"]
    if subprocess.run(command, check=False).returncode != 0:
        raise HarnessError(f"the training failed (its words are above); delete {folder} to begin anew")
    return folder


def store(checkpoint: Path, cluster: Cluster, kubectl: Kubectl) -> None:
    """Have the checkpoint on the claim `models`."""
    if cluster.is_kind:
        kind.in_node("mkdir", "-p", NODE_FOLDER)
        fill(checkpoint, ["docker", "exec", "-i", kind.NODE], NODE_FOLDER, kubectl)
        kubectl("apply", "-f", HERE / "checkpoint-volume.yaml")
        return
    say("the claim comes from the cluster's default StorageClass; a short-lived pod fills it")
    manifests = list(yaml.safe_load_all((HERE / "checkpoint-loader.yaml").read_text()))
    manifests[1]["spec"]["containers"][0]["image"] = cluster.inference_image
    kubectl("apply", "-f", "-", stdin=yaml.safe_dump_all(manifests))
    try:
        with step("waiting for the pod that fills the claim"):
            kubectl("wait", "--for=condition=Ready", "-n", NAMESPACE, f"pod/{LOADER}", "--timeout=600s")
        fill(checkpoint, [*kubectl.command, "exec", "-i", "-n", NAMESPACE, LOADER, "--"], "/models", kubectl)
    finally:
        kubectl("delete", "pod", "-n", NAMESPACE, LOADER, "--ignore-not-found", "--grace-period=1")


def fill(checkpoint: Path, inside: list[str], folder: str, kubectl: Kubectl) -> None:
    """Copy by tar through a program that runs `inside` the volume's place, once for each checkpoint."""
    mark = f".{checkpoint.name}"
    if mark in run([*inside, "ls", "-A", folder]).split():
        say(f"{checkpoint.name} is on the volume already")
        return
    with step(f"copying {checkpoint} to the volume"):
        # Not `.`: the volume's root may belong to somebody else, and tar would fail to set its mode.
        pack = ["tar", "-C", str(checkpoint), "--mode=a+rX", "-cf", "-", "base", "runs"]
        unpack = [*inside, "tar", "-C", folder, "--no-same-owner", "--unlink-first", "-xf", "-"]
        with subprocess.Popen(pack, stdout=subprocess.PIPE) as packing:
            unpacked = subprocess.run(unpack, stdin=packing.stdout, check=False).returncode
        if packing.returncode or unpacked:
            raise HarnessError(f"copying {checkpoint} failed; is there space for 300 MB in {folder}?")
        run([*inside, "touch", f"{folder}/{mark}"])
    # Pods of an earlier demo hold what they loaded then.
    kubectl("delete", "pod", "-n", NAMESPACE, "-l", f"app.kubernetes.io/instance={MODEL}", "--ignore-not-found")


def install(cluster: Cluster) -> None:
    words: list[str | Path] = ["upgrade", "--install", "forge", ROOT / "charts" / "scientificllm-forge"]
    words += ["--namespace", OPERATOR_NAMESPACE, "--create-namespace", "--wait", "--timeout", "5m"]
    for value, reference in {"image": cluster.operator_image, "inference.image": cluster.inference_image}.items():
        repository, _, tag = reference.rpartition(":")
        # As strings: a tag such as 12e4 would become a number.
        words += ["--set-string", f"{value}.repository={repository}", "--set-string", f"{value}.tag={tag}"]
    helm: list[str | Path] = [program("helm"), "--kubeconfig", cluster.kubeconfig]
    releases = json.loads(run([*helm, "list", "--all-namespaces", "-o", "json"]))
    if any(release["name"] == "forge" and release["status"].startswith("pending") for release in releases):
        say("an earlier installation was interrupted; it is removed first")
        run([*helm, "uninstall", "forge", "--namespace", OPERATOR_NAMESPACE, "--wait"])
    with step("helm upgrade --install forge charts/scientificllm-forge"):
        run([*helm, *words])


def await_ready(kubectl: Kubectl) -> dict[str, Any]:
    """The model once it is Ready; tells each change of the condition.

    Raises
    ------
    HarnessError
        It stayed False or did not become True in time; the message is the condition's.
    """
    start = changed = time.monotonic()
    told = ""
    while True:
        model = json.loads(kubectl("get", "scim", "-n", NAMESPACE, MODEL, "-o", "json"))
        conditions = {condition["type"]: condition for condition in model.get("status", {}).get("conditions", [])}
        ready = conditions.get("Ready", {"status": "Unknown", "reason": "NotSeen", "message": "No status yet."})
        current = ready.get("observedGeneration") == model["metadata"]["generation"]
        line = f"Ready={ready['status']} {ready['reason']}: {ready['message']}"
        if line != told:
            told, changed = line, time.monotonic()
            say(f"{changed - start:4.0f} s  {line}")
        if ready["status"] == "True" and current:
            return model
        now = time.monotonic()
        if now - start > READY_LIMIT or (ready["status"] == "False" and now - changed > FALSE_LIMIT):
            raise HarnessError(f"{MODEL} is not Ready after {now - start:.0f} s. {line}")
        # Returns at once when the model becomes Ready; its exit status says nothing that we do not read next.
        wait = ["wait", "--for=condition=Ready", "--timeout=3s", "-n", NAMESPACE, f"scientificmodel/{MODEL}"]
        subprocess.run([*kubectl.command, *wait], capture_output=True, check=False)


@contextmanager
def forwarded(kubectl: Kubectl, target: str, port: int) -> Iterator[str]:
    """A URL on this machine for a port of the cluster."""
    command = [*kubectl.command, "port-forward", "-n", NAMESPACE, target, f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as forwarding:
        try:
            line = forwarding.stdout.readline() if forwarding.stdout else ""
            if not line.startswith("Forwarding from 127.0.0.1:"):
                raise HarnessError(f"`kubectl port-forward {target}` failed: {line.strip()}")
            yield f"http://127.0.0.1:{line.removeprefix('Forwarding from 127.0.0.1:').split()[0]}"
        finally:
            forwarding.terminate()


def compare(url: str) -> None:
    """The same question with and without the adapter."""
    print(f"  question    {QUESTION}")
    for name, use_adapter in (("base model", False), ("fine-tuned", True)):
        body = {"text": QUESTION, "max_new_tokens": 40, "use_adapter": use_adapter}
        try:
            response = httpx.post(f"{url}/api/v1/generate", json=body, timeout=120).raise_for_status()
        except httpx.HTTPError as error:
            raise HarnessError(f"the model's Service did not answer: {error}") from error
        print(f"  {name}  {' '.join(response.json()['results'][0]['text'].split())}", flush=True)


def visit(url: str, admin_url: str) -> None:
    command = [sys.executable, HERE / "tour.py", "--url", url, "--admin-url", admin_url]
    if subprocess.run(command, check=False).returncode != 0:
        raise HarnessError("the tour found answers that are not as documented (above)")


def next_steps(kubectl: Kubectl, cluster: Cluster, service: str) -> str:
    remove = "make clean-cluster" if cluster.is_kind else f"helm uninstall forge -n {OPERATOR_NAMESPACE}"
    return f"""
=== It works. How to go on:
  export KUBECONFIG={cluster.kubeconfig}
  alias kubectl={kubectl.command[0]}
  kubectl get scim -A -o wide
  kubectl -n {NAMESPACE} port-forward service/{service} 8000:80 &
  curl -s localhost:8000/api/v1/health
  curl -s localhost:8000/api/v1/generate -H 'content-type: application/json' \\
    -d '{{"text": "What is the function of CFTR?", "max_new_tokens": 40}}'
  open http://localhost:8000/docs
  {remove}"""


if __name__ == "__main__":
    sys.exit(main())
