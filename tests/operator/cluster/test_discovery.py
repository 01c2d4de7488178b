"""Which kinds are watched: all that the cluster knows."""

import pytest

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.cluster import discovery
from forge_operator.cluster.discovery import KindsChanged, await_change, known
from forge_operator.cluster.errors import ClusterError, Missing, Unavailable
from forge_operator.cluster.kinds import CHILDREN, MODEL, POD, SCALED_OBJECT


class Server:
    """Answers what it serves of keda.sh: each time the next answer, and the last one for ever."""

    def __init__(self, *answers: Manifest | ClusterError) -> None:
        self.answers = [*answers]

    async def request(self, method: str, path: str) -> Manifest:
        assert (method, path) == ("GET", "/apis/keda.sh/v1alpha1")
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, ClusterError):
            raise answer
        return answer


KEDA: Manifest = {"resources": [{"name": "scaledobjects"}, {"name": "scaledjobs"}]}
NONE = Missing("the server could not find the requested resource", 404)
OLDER: Manifest = {"resources": [{"name": "scaledjobs"}]}


async def test_with_keda_its_kind_is_one_of_them() -> None:
    assert await known(Server(KEDA)) == (MODEL, *CHILDREN.values(), POD)


@pytest.mark.parametrize("answer", [NONE, OLDER])
async def test_a_kind_that_is_not_served_is_none_of_them(answer: Manifest | ClusterError) -> None:
    found = await known(Server(answer))
    assert set(CHILDREN.values()) - set(found) == {SCALED_OBJECT}


async def test_an_api_server_that_does_not_answer_is_no_proof_of_absence() -> None:
    with pytest.raises(Unavailable):
        await known(Server(Unavailable("connection refused")))


@pytest.mark.parametrize("answers", [(NONE, KEDA), (KEDA, NONE), (KEDA, Unavailable("away"), KEDA, NONE)])
async def test_an_add_on_that_comes_or_goes_ends_the_process_by_name(
    monkeypatch: pytest.MonkeyPatch, answers: tuple[Manifest | ClusterError, ...]
) -> None:
    monkeypatch.setattr(discovery, "_EVERY", 0)
    server = Server(*answers)
    before = await known(server)
    with pytest.raises(KindsChanged, match=r"^ScaledObject: "):
        await await_change(server, before)
