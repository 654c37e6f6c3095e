"""How well-known servers are asked and answer, so that nobody has to look it up."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Preset:
    """What a server takes and gives.

    Args:
        template: The body of a request.
        select: Where the answer stands in a reply.
    """

    template: str
    select: str


INSTANCES = Preset(template='{"instances": "$inputs"}', select="predictions")
"""TensorFlow Serving's form, which KServe (version 1) and Vertex AI took over."""

INVOCATIONS = Preset(template='{"inputs": "$inputs"}', select="predictions")
"""MLflow's form, which is what its containers for SageMaker answer too."""

PRESETS = {
    "mlflow": INVOCATIONS,
    "sagemaker-container": INVOCATIONS,
    "kserve-v1": INSTANCES,
    "tf-serving": INSTANCES,
    "vertex": INSTANCES,
    "torchserve": Preset(template="$inputs", select="@"),
    "bentoml": Preset(template='{"input": "$inputs"}', select="@"),
    "litserve": Preset(template='{"input": "$inputs"}', select="logits"),
    "ray-serve": INSTANCES,
}
"""By name. Where the service's own code decides the form, this is that of its documentation."""

ENDINGS = {":predict": "kserve-v1", "/invocations": "mlflow"}
"""The preset of an address by how its path ends."""


def preset_of(path: str) -> str:
    """The name of the preset of an address by its path; empty if it has none.

    Examples:
        >>> preset_of("/v1/models/m:predict")
        'kserve-v1'
    """
    return next((name for ending, name in ENDINGS.items() if path.endswith(ending)), "")
