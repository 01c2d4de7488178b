"""Many models on the control plane: how long the operator takes, what it writes, what it needs."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from forge_operator.children.shape import child_name
from tests.support.kube import SCIM, AuditLog, Kube, Write, a_manifest, claims, path_of
from tests.support.operators import Installed, Operator, running
from tests.support.waiting import until

NAMESPACE = "many-models"
LIMIT = 600.0  # seconds until a campaign gives up; the promised figures are far smaller
QUIET = 3.0  # seconds without a write after which all is said to be done
_CREATORS = 4  # people who apply manifests at the same time
_REPAIRS = 20  # of each kind


@dataclass(frozen=True)
class Figures:
    """Times are in seconds since the first manifest was sent, repairs in milliseconds, memory in MiB."""

    models: int
    created: float
    children: float
    ready: float
    watched: float
    writes_at_rest: int
    writes_on_restart: int
    edit_repairs: list[float]
    deletion_repairs: list[float]
    memory: float


class Campaign:
    """One run; `say` tells a person what goes on."""

    def __init__(
        self, kube: Kube, installed: Installed, audit: AuditLog, folder: Path, say: Callable[[str], None]
    ) -> None:
        self._kube, self._installed, self._audit, self._folder, self._say = kube, installed, audit, folder, say
        self._memory = 0.0

    def run(self, models: int, watched: float) -> Figures:
        """Serve so many models, then watch the operator rest for `watched` seconds.

        Raises
        ------
        TimeoutError
            A step did not end within LIMIT.
        """
        self._kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
        claims(self._kube, NAMESPACE, "models")
        names = [f"model-{number:04}" for number in range(models)]
        with running(self._installed, self._folder) as operator:
            self._say(f"creating {models} models")
            start = time.monotonic()
            self._audit.mark()
            with ThreadPoolExecutor(_CREATORS) as people:
                list(people.map(lambda name: self._kube.create(a_manifest(name, NAMESPACE)), names))
            created = time.monotonic() - start
            self._await(operator, lambda: self._children() >= models, f"the children of {models} models")
            children = time.monotonic() - start
            self._say(f"children of all after {children:.1f} s")
            self._await(operator, lambda: self._ready() >= models, f"{models} models to be Ready", pause=0.5)
            ready = time.monotonic() - start
            self._say(f"Ready of all after {ready:.1f} s")
            self._await_quiet(operator)
            at_rest = self._rest(operator, watched)
            edits = [self._edited(operator, name) for name in names[:_REPAIRS]]
            deletions = [self._deleted(operator, name) for name in names[-_REPAIRS:]]
            self._say(f"repairs: edit {median(edits):.0f} ms, deletion {median(deletions):.0f} ms (median)")
            self._await(operator, lambda: self._ready() >= models, "the repaired models to be Ready", pause=0.5)
            self._await_quiet(operator)
        on_restart = self._restart(models)
        self._say(f"memory at most {self._memory:.0f} MiB")
        return Figures(models, created, children, ready, watched, at_rest, on_restart, edits, deletions, self._memory)

    def _await(self, operator: Operator, done: Callable[[], bool], what: str, pause: float = 0.2) -> None:
        def look() -> bool:
            self._memory = max(self._memory, operator.measure())
            return done()

        until(look, limit=LIMIT, what=what, pause=pause)

    def _children(self) -> int:
        """How many models have all of theirs: the count of the rarest kind."""
        accounts = self._count("ServiceAccount") - 1  # the namespace's own
        return min(accounts, *map(self._count, ("NetworkPolicy", "Service", "Deployment")))

    def _count(self, kind: str) -> int:
        # The server counts what it does not send: a thousand objects need not travel to be counted.
        page = self._kube.request("GET", path_of(kind, "", NAMESPACE), limit="1").json()
        return len(page["items"]) + int(page["metadata"].get("remainingItemCount", 0))

    def _ready(self) -> int:
        return sum(
            condition["type"] == "Ready" and condition["status"] == "True"
            for model in self._kube.list(SCIM, NAMESPACE)
            for condition in model.get("status", {}).get("conditions", [])
        )

    def _writes(self) -> list[Write]:
        """Of the campaign alone: models of others that run on the same control plane come and go."""
        return self._audit.writes(self._installed.user, NAMESPACE)

    def _tell(self, writes: list[Write], when: str) -> int:
        self._say(f"{len(writes)} writes {when}")
        for write in writes:
            self._say(f"  {write.verb} {write.resource} {write.name}: {write.code}")
        return len(writes)

    def _await_quiet(self, operator: Operator) -> None:
        known, since = len(self._writes()), time.monotonic()

        def quiet() -> bool:
            nonlocal known, since
            if (now := len(self._writes())) != known:
                known, since = now, time.monotonic()
            return time.monotonic() - since > QUIET

        self._await(operator, quiet, "the operator to write nothing more", pause=0.5)

    def _rest(self, operator: Operator, seconds: float) -> int:
        self._audit.mark()
        end = time.monotonic() + seconds
        self._await(operator, lambda: time.monotonic() >= end, "the end of the watch", pause=1)
        return self._tell(self._writes(), f"in the {seconds:.0f} s after that")

    def _edited(self, operator: Operator, model: str) -> float:
        name = child_name(model)
        self._kube.patch("Deployment", name, NAMESPACE, {"spec": {"replicas": 3}})
        start = time.monotonic()
        back = lambda: self._kube.get("Deployment", name, NAMESPACE)["spec"]["replicas"] == 1  # noqa: E731
        until(back, limit=LIMIT, what=f"{name} to be repaired", pause=0.005)
        self._memory = max(self._memory, operator.measure())
        return (time.monotonic() - start) * 1000

    def _deleted(self, operator: Operator, model: str) -> float:
        name = child_name(model)
        self._kube.delete("Service", name, NAMESPACE)
        start = time.monotonic()
        back = lambda: self._kube.find("Service", name, NAMESPACE) is not None  # noqa: E731
        until(back, limit=LIMIT, what=f"the Service {name} to be back", pause=0.005)
        self._memory = max(self._memory, operator.measure())
        return (time.monotonic() - start) * 1000

    def _restart(self, models: int) -> int:
        self._say("restarting the operator")
        self._audit.mark()
        with running(self._installed, self._folder) as operator:
            # The operator looks at all models when it starts; one that comes after them tells that it has.
            self._kube.create(a_manifest("the-last", NAMESPACE))
            self._await(operator, lambda: self._ready() > models, "the last model to be Ready", pause=0.5)
            self._await_quiet(operator)
        return self._tell([write for write in self._writes() if write.name != "the-last"], "on restart")
