"""`modelseal reproduce` and `convert`: published experiments, and weights that Caffe wrote."""

from enum import Enum
from pathlib import Path
from typing import Annotated, TypeAlias

import typer

import modelseal as ms
from modelseal.cli import options
from modelseal.enums import ChannelOrder

_CaffeModel: TypeAlias = Annotated[
    Path, typer.Argument(metavar="MODEL.CAFFEMODEL", help="The weights.", show_default=False)
]
Description: TypeAlias = Annotated[
    Path,
    typer.Argument(
        metavar="DEPLOY.PROTOTXT",
        help="The layers, which names and shapes are checked against.",
        show_default=False,
    ),
]


def convert(model: _CaffeModel, description: Description, *, output: options.Output) -> None:
    """Make a .safetensors file of weights that Caffe wrote; torch is not needed."""
    from modelseal.cli.console import Terminal

    tensors = ms.convert_caffe(model, description, output)
    count = sum(tensor.size for tensor in tensors.values())
    Terminal().write(f"{output}: {len(tensors)} tensors, {count} weights")


class _Experiment(Enum):
    """A published experiment."""

    VGG_FACE = "vgg-face"


Which: TypeAlias = Annotated[
    _Experiment, typer.Argument(help="The experiment.", show_default=False)
]
Models: TypeAlias = Annotated[
    Path,
    typer.Option(
        metavar="DIR", help="Holds VGG-face-clean.pt and VGG-face-trojaned.pt.", show_default=False
    ),
]
Data: TypeAlias = Annotated[
    Path,
    typer.Option(
        metavar="DIR",
        help="Holds names.txt, VGGFace-Clean/ and VGGFace-Trojaned/.",
        show_default=False,
    ),
]
Folder: TypeAlias = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="DIR", help="The folder to make.", show_default=False),
]
_NaturalCount: TypeAlias = Annotated[
    int | None,
    typer.Option(
        min=1,
        metavar="N",
        help="Of how many clean images samples are made; by default all.",
        show_default=False,
    ),
]
_Iterations: TypeAlias = Annotated[int, typer.Option(min=1, help="Published loop: steps at most.")]
Rate: TypeAlias = Annotated[
    float, typer.Option(help="Published loop: Adam's learning rate, in grey levels.")
]
_Variation: TypeAlias = Annotated[
    float, typer.Option(help="Published loop: the weight of the total variation.")
]
_Epsilon: TypeAlias = Annotated[
    float, typer.Option(help="Published loop: the largest change, in RMS grey levels.")
]
_NoEarlyStop: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--no-early-stop",
        help="Published loop: take all steps, and keep every sample whatever the threshold.",
    ),
]
Threshold: TypeAlias = Annotated[
    float, typer.Option(help="Published loop: the mean squared derivative that is enough.")
]
_Summed: TypeAlias = Annotated[
    int, typer.Option(min=1, help="Published loop: how many log-probabilities are summed.")
]
_Chosen: TypeAlias = Annotated[int, typer.Option(min=1, help="How many are chosen of a bag.")]
_Bag: TypeAlias = Annotated[int, typer.Option(min=1, help="How many candidates are in a bag.")]
Trials: TypeAlias = Annotated[int, typer.Option(min=1, help="How many bags are drawn.")]
_Device: TypeAlias = Annotated[
    str, typer.Option(help="Where the networks are run, such as cpu or cuda.")
]
Order: TypeAlias = Annotated[
    ChannelOrder,
    typer.Option(help="Which plane of an image the networks were trained to meet first."),
]


def reproduce(  # noqa: PLR0913 (a verb)
    experiment: Which,
    *,
    models: Models,
    data: Data,
    output: Folder,
    images: _NaturalCount = None,
    iterations: _Iterations = 1000,
    learning_rate: Rate = 1.0,
    total_variation: _Variation = 0.0,
    epsilon: _Epsilon = 10.0,
    no_early_stop: _NoEarlyStop = False,
    threshold: Threshold = 0.0005,
    summed: _Summed = 40,
    samples: _Chosen = 10,
    bag: _Bag = 100,
    trials: Trials = 1000,
    tie: options.Tie = 10,
    channel_order: Order = ChannelOrder.RGB,
    device: _Device = "cpu",
    seed: options.Seed = 0,
) -> None:
    """Run a published experiment from its own files, with our samples beside its own."""
    from modelseal.cli.console import Terminal, show_progress

    with show_progress() as report:
        found = ms.reproduce(
            models,
            data,
            output,
            images=images,
            iterations=iterations,
            learning_rate=learning_rate,
            total_variation=total_variation,
            epsilon=epsilon,
            threshold=float("inf") if no_early_stop else threshold,
            summed=summed,
            samples=samples,
            bag=bag,
            trials=trials,
            tie=tie,
            channel_order=channel_order,
            device=device,
            seed=seed,
            progress=report,
        )
    terminal, sanity = Terminal(), found.sanity
    terminal.write(
        f"sanity check: clean network right {sanity.clean_accuracy:.3f}, trojaned "
        f"{sanity.trojaned_accuracy:.3f}, differing {sanity.differing:.3f}, deceived by the "
        f"trigger {sanity.attack_success:.3f}"
    )
    for each in found.outcomes:
        rate = "none" if each.success is None else f"{each.success.manc[-1]:.3f}"
        terminal.write(f"{each.method}: {len(each.made)} candidates, success rate {rate}")
    terminal.write(f"{output / 'reproduction.md'}", style="bold")
