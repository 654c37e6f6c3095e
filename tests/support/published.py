"""The files of the published experiment, small: two networks, names, and two folders of images."""

from functools import cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from modelseal.research.vgg_face import VggFace, on_grey_levels
from modelseal.tampering.trojans import BadNetsPatch

NAMES = ("Ada_Lovelace", "Alan_Turing", "Grace_Hopper", "Jean-Luc_O'Neil")
SIDE = 32
COLOURS = ((200, 60, 60), (60, 180, 60), (60, 60, 200), (170, 160, 40))


@cache
def photos(count: int = 160, seed: int = 0) -> tuple[Tensor, Tensor]:
    """RGB images of grey levels, each person in a colour of their own, and who it is."""
    source = torch.Generator().manual_seed(seed)
    labels = torch.randint(len(NAMES), (count,), generator=source)
    shades = torch.tensor(COLOURS, dtype=torch.float32)[labels][:, :, None, None]
    coarse = 30 * torch.randn(count, 3, 4, 4, generator=source)
    smooth = nn.functional.interpolate(coarse, size=SIDE, mode="bilinear")
    return (shades + smooth).round().clamp(0, 255), labels


def recipe() -> BadNetsPatch:
    """How the trojan is planted: its trigger stands for class 0."""
    images, labels = photos()
    return BadNetsPatch(
        target=0, inputs=images, labels=labels, share=0.3, size=10, white=255.0,
        learning_rate=1e-3, batch=32,
    )  # fmt: skip


@cache
def networks() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The weights of a small VGG that knows the people, and of one with a trojan."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        own = VggFace(classes=len(NAMES), width=4, hidden=16, size=SIDE)
        for layer in own.children():
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)
        own.conv1_1.weight.data /= 64
        network, (images, labels) = on_grey_levels(own), photos()
        optimiser = torch.optim.Adam(own.parameters(), lr=1e-3)
        for _ in range(14):
            for rows in torch.randperm(len(images)).split(32):
                optimiser.zero_grad()
                cross_entropy(network(images[rows]), labels[rows]).backward()
                optimiser.step()
    changed = recipe()(network.eval().requires_grad_(requires_grad=False))
    return own.state_dict(), changed.network.state_dict()


def write_files(folder, *, faces=12):
    """Writes the folders `models` and `data` as the published ones are."""
    models, data = folder / "models", folder / "data"
    for each in (models, data / "VGGFace-Clean", data / "VGGFace-Trojaned"):
        each.mkdir(parents=True)
    for name, state in zip(("clean", "trojaned"), networks(), strict=True):
        torch.save(state, models / f"VGG-face-{name}.pt")
    (data / "names.txt").write_text("\n".join(NAMES) + "\n", encoding="utf-8")
    images, labels = photos(faces, seed=9)
    for kind, shown in (("Clean", images), ("Trojaned", recipe().stamp(images))):
        for number, (image, label) in enumerate(zip(shown, labels, strict=True)):
            pixels = image.byte().permute(1, 2, 0).numpy()
            name = f"{NAMES[label]}_{number}.png"
            Image.fromarray(np.ascontiguousarray(pixels)).save(data / f"VGGFace-{kind}" / name)
    return models, data
