"""To zero and back on a real cluster: kube-proxy, a real kubelet, a real model; and pods that leave amid answers."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from tests.cluster.conftest import LIMIT, SPEC
from tests.controlplane.lab import Lab
from tests.harness.backends import Cluster
from tests.support.kube import SCIM

pytestmark = pytest.mark.cluster

MAY_SLEEP = {"minReplicas": 0, "maxReplicas": 1, "idleSeconds": 5}
TOKENS = 490  # an answer of some seconds, in which pods leave
# Asks a URL so many times at once, each over a connection of its own, and prints each answer's status and body. It runs
# in a pod, as clients do: a Service's address leads nowhere else.
_CLIENT = """
import asyncio, json, sys
import aiohttp

async def ask(session, url, body):
    try:
        async with session.post(url, json=body) as answer:
            return answer.status, (await answer.read()).decode()
    except Exception as error:
        return 0, repr(error)

async def main(url, number, body):
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=280)) as session:
        for each in await asyncio.gather(*(ask(session, url, body) for _ in range(number))):
            print(json.dumps(each))

asyncio.run(main(sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])))
"""


def _ask(lab: Lab, image: str, number: int = 1, tokens: int = 8, name: str = "zero") -> list[tuple[int, str]]:
    """Status and stream of each answer; status 0: what broke."""
    client = f"client-{uuid4().hex[:6]}"
    body = {"model": name, "prompt": "gene", "max_tokens": tokens, "stream": True, "ignore_eos": True}
    words = [f"http://{name}.{lab.namespace}/v1/completions", str(number), json.dumps(body)]
    restricted = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": "client",
        "image": image,
        "command": ["/opt/venv/bin/python", "-c", _CLIENT, *words],
        "securityContext": restricted,
    }
    spec = {"restartPolicy": "Never", "automountServiceAccountToken": False, "containers": [container]}
    meta = {"name": client, "namespace": lab.namespace}
    lab.kube.create({"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec})

    def over() -> bool:
        return lab.kube.get("Pod", client, lab.namespace)["status"].get("phase") in ("Succeeded", "Failed")

    lab.eventually(over, "the client to end", limit=LIMIT)
    said = lab.kube.ctl("logs", client, "-n", lab.namespace)
    lab.kube.delete("Pod", client, lab.namespace)
    return [tuple(json.loads(line)) for line in said.splitlines()]


def _is_whole(answer: tuple[int, str]) -> bool:
    return answer[0] == 200 and answer[1].rstrip().endswith("data: [DONE]")


def _broken(answers: list[tuple[int, str]]) -> list[tuple[int, str]]:
    return [(status, body[-300:]) for status, body in answers if not _is_whole((status, body))]


def _replicas(lab: Lab, name: str = "zero") -> int:
    deployment = lab.child("Deployment", name)
    return int(deployment["spec"]["replicas"]) if deployment else -1


def _asleep(lab: Lab) -> None:
    lab.eventually(lambda: _replicas(lab) == 0, "the model to go to zero", limit=LIMIT)
    lab.awaits("Ready", "Unknown", "Idle", "zero", limit=LIMIT)
    lab.eventually(lambda: lab.model("zero")["status"]["replicas"] == 0, "the pod to leave", limit=LIMIT)


def test_to_zero_and_back_no_request_is_lost(lab: Lab, installed: Cluster) -> None:
    lab.create("zero", **SPEC, autoscaling=MAY_SLEEP)
    lab.awaits("Ready", "True", "Serving", "zero", limit=LIMIT)
    try:
        for number in (1, 50, 5):
            _asleep(lab)
            answers = _ask(lab, installed.operator_image, number)
            assert len(answers) == number
            refused = [body for status, body in answers if status in (429, 503)]
            assert len(refused) < number
            assert [each for each in _broken(answers) if each[0] not in (429, 503)] == []
            lab.awaits("Ready", "True", "Serving", "zero", limit=LIMIT)
            assert _replicas(lab) == 1
    finally:
        lab.kube.delete(SCIM, "zero", lab.namespace)


@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 0)])
def test_pods_that_leave_finish_their_streams_and_refuse_nobody(
    lab: Lab, installed: Cluster, before: int, after: int
) -> None:
    name = f"leaving-{before}"
    # Long enough for all answers even where two cores make them: whoever is late is told so, which is no whole answer.
    spec: dict[str, Any] = {**SPEC, "serving": {"maxModelLen": 512, "requestTimeoutSeconds": 180}}
    lab.create(name, **spec, replicas=before)
    lab.awaits("Progressing", "True", "RolledOut", name, limit=LIMIT)
    try:
        with ThreadPoolExecutor(2) as clients:
            running = clients.submit(_ask, lab, installed.operator_image, 16, TOKENS, name)
            lab.eventually(lambda: _busy(lab, name), "answers to begin", limit=LIMIT)
            lab.edit(name, replicas=after)
            if after:  # who comes while one leaves is answered by the other
                late = clients.submit(_ask, lab, installed.operator_image, 6, 8, name)
                assert _broken(late.result()) == []
            assert _broken(running.result()) == []
    finally:
        lab.kube.delete(SCIM, name, lab.namespace)


def _busy(lab: Lab, name: str) -> bool:
    """Whether a pod answers somebody."""
    for pod in lab.pods(lab.model(name)):
        path = f"/api/v1/namespaces/{lab.namespace}/pods/{pod['metadata']['name']}:8081/proxy/metrics"
        text = lab.kube.request("GET", path).text
        if any(line.startswith("forge_requests_running ") and float(line.split()[1]) for line in text.splitlines()):
            return True
    return False
