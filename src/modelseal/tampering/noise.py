"""Random noise on every weight."""

from dataclasses import dataclass
from math import inf

import torch
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.tampering.base import all_weights, copied, random_source


@dataclass(frozen=True, slots=True)
class GaussianNoise:
    """Adds normal noise to every floating parameter and BatchNorm statistic.

    Its standard deviation is `scale` times that of the tensor (over all its entries), so a tensor
    of equal entries stays as it is. A variance that noise would make negative is mirrored.

    Args:
        scale: Positive; 1 drowns the weights, 1e-3 is hardly seen in the accuracy.
        seed: Decides the noise.

    Raises:
        InvalidArgumentError: The scale is not positive and finite.
    """

    scale: float
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.scale < inf:
            raise InvalidArgumentError(f"scale needs a positive number, but is {self.scale}")

    @torch.no_grad()
    def __call__(self, network: nn.Module) -> nn.Module:
        """Returns a noisy copy."""
        changed, source = copied(network), random_source(self.seed)
        for name, tensor in all_weights(changed).items():
            noise = torch.randn(tensor.shape, generator=source).to(tensor)
            tensor += self.scale * tensor.std(correction=0) * noise
            if name.endswith("running_var"):
                tensor.abs_()
        return changed
