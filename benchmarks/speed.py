"""What an accepted sample costs beside one of the published loop's, on the same images.

ResNet-20 on CIFAR-10 test images, both with one thread; the published loop runs one image at a
time, ours all of them together.
"""

import torch

from cifar import images, resnet
from cost import backward_cost, measure_boundary, measure_legacy
from modelseal.calibration.calibrate import calibrate
from modelseal.sealing.candidates import accept, list_variants, to_tensor
from modelseal.sealing.methods import measure_margin
from modelseal.sealing.recipe import Recipe
from results_file import write

# The published loop takes about ten seconds an image.
IMAGES = 12


def main() -> None:
    """Measures both on the same images, one after the other."""
    torch.set_num_threads(1)
    model = resnet(20)
    recipe = Recipe(domain=model.domain)
    starts = to_tensor(model, images("test", IMAGES)[0])
    made, seconds, counter = measure_boundary(model, starts, recipe)
    _, legacy_seconds, legacy_work = measure_legacy(model, starts)
    backward = backward_cost(model.network, starts)
    calibration = calibrate(model.network, made, spec=recipe.spec, variants=list_variants(model))
    naturals = measure_margin(model.network, starts, recipe.spec).numpy()
    kept = int(accept(calibration, recipe, naturals=naturals).sum())
    work = (counter.forward + backward * counter.backward) / kept
    figures = {
        "seal.seconds": seconds / kept,
        "seal.legacy_seconds": legacy_seconds,
        "seal.seconds_ratio": legacy_seconds / (seconds / kept),
        "seal.backward_cost": backward,
        "seal.forward_equivalents": work,
        "seal.legacy_forward_equivalents": legacy_work,
        "seal.work_ratio": legacy_work / work,
        "seal.cost_images": float(IMAGES),
    }
    write("speed", {"figures": figures, "details": {"accepted": kept, "torch": torch.__version__}})


if __name__ == "__main__":
    main()
