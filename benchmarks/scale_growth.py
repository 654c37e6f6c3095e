"""How the cost of a sample grows with the size of images, classes, depth and samples."""

from collections.abc import Callable, Mapping

from cifar import images, resnet
from cost import backward_cost, measure_boundary
from modelseal.models.loader import Model
from modelseal.sealing.candidates import to_tensor
from modelseal.sealing.recipe import Recipe
from modelseal.types import Codes
from networks import photographs, vgg_face, vit

IMAGES = 2


def measure_growth() -> Mapping[str, float]:
    """Seconds and forward passes of a sample along each of four axes."""
    figures: dict[str, float] = {}
    for axis, (build, values) in AXES.items():
        for value in values:
            model, size = build(value)
            figures |= measure(f"scale.growth.{axis}.{value}", model, photographs(size)[-IMAGES:])
    model = resnet(20)
    for number in (1, 4, 16, 64):
        codes = images("test", number)[0]
        figures |= measure(f"scale.growth.samples.{number}", model, codes, tied=10)
    return figures


def measure(name: str, model: Model, codes: Codes, *, tied: int = 4) -> Mapping[str, float]:
    """What a sample of one network costs."""
    starts = to_tensor(model, codes)
    _, seconds, counter = measure_boundary(model, starts, Recipe(domain=model.domain, tied=tied))
    backward = backward_cost(model.network, starts[:1])
    work = counter.forward + backward * counter.backward
    return {
        f"{name}.seconds": seconds / len(starts),
        f"{name}.forward_equivalents": work / len(starts),
    }


def by_size(size: int) -> tuple[Model, int]:
    """A narrow network of VGG-Face's shape for images of a size."""
    return vgg_face(width=8, hidden=256, classes=100, size=size), size


def by_classes(classes: int) -> tuple[Model, int]:
    """The same for images of 64 x 64, with a number of classes."""
    return vgg_face(width=8, hidden=256, classes=classes, size=64), 64


def by_depth(depth: int) -> tuple[Model, int]:
    """A narrow vision transformer for images of 64 x 64, with a number of layers."""
    return vit(depth=depth, hidden=192, classes=100, size=64), 64


AXES: Mapping[str, tuple[Callable[[int], tuple[Model, int]], tuple[int, ...]]] = {
    "size": (by_size, (32, 64, 96, 128, 224)),
    "classes": (by_classes, (10, 100, 1000, 22_000)),
    "depth": (by_depth, (2, 4, 8, 16)),
}
"""What is varied, and how."""
