import numpy as np
import pytest
import sealed
from canned_grpc import canned_server, official, replying

from modelseal.domain import Domain
from modelseal.endpoints.oip.grpc_client import OipGrpcEndpoint
from modelseal.enums import Depth
from modelseal.outputs.specs import RawScores
from modelseal.verdict import Outcome
from modelseal.verification.policy import QueryPolicy
from modelseal.verification.verify import verify

DOMAIN = Domain(shape=(4,))


@pytest.mark.parametrize("right", [True, False])
def test_a_server_is_verified_with_many_questions_at_once(right):
    spec = RawScores(1e-4)
    codes = sealed.fields(domain=DOMAIN, classes=3, count=12)["samples"]
    shown = DOMAIN.decode(codes)[:, :3].astype(np.float64)
    shown[7] += 0 if right else 1
    made = sealed.fingerprint(
        domain=DOMAIN, classes=3, count=12, spec=spec, samples=codes, expected=spec.reveal(shown)
    )

    def infer(request, context):
        asked = official.ModelInferRequest.FromString(request)
        values = np.frombuffer(asked.raw_input_contents[0], "<f4")
        return replying(*values[:3].tolist())(request, context)

    with canned_server() as server, OipGrpcEndpoint(server.serves(infer), DOMAIN) as endpoint:
        verdict = verify(
            made,
            endpoint,
            generator=np.random.default_rng(0),
            depth=Depth.ALL,
            policy=QueryPolicy(concurrency=4),
        )
    assert verdict.outcome is (Outcome.INTACT if right else Outcome.TAMPERED)
