"""Which cluster the tests and the demo use: the user's own, else kind."""

from dataclasses import dataclass
from pathlib import Path

from tests.harness import images, kind
from tests.harness.errors import HarnessError, NoClusterError
from tests.harness.steps import say


@dataclass(frozen=True)
class Cluster:
    """A real cluster and the references of our images in it."""

    kubeconfig: Path
    operator_image: str
    inference_image: str
    is_kind: bool


def ensure(kubeconfig: Path | None) -> Cluster:
    """Have a cluster that can run both images.

    Raises
    ------
    NoClusterError
        It cannot be had; the message says what is missing.
    HarnessError
        It is there, and the images could not be built or loaded.
    """
    if kubeconfig:
        say(f"using the cluster of {kubeconfig}, because a kubeconfig is given")
        if not images.REFERENCES.exists():
            raise NoClusterError(
                "for a cluster of your own, push both images to a registry that it can reach and name them in"
                f' {images.REFERENCES}: {{"operator": "REPOSITORY:TAG", "inference": "REPOSITORY:TAG"}}'
            )
        references = images.remembered()
    else:
        say("no kubeconfig is given: using kind")
        try:
            built = kind.ensure()
        except HarnessError as error:
            raise NoClusterError(str(error)) from error
        references = images.ensure(built_node=built)
    return Cluster(kubeconfig or kind.KUBECONFIG, references["operator"], references["inference"], not kubeconfig)
