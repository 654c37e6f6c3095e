"""`modelseal convert`: makes a file of weights of what Caffe wrote."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

import modelseal as ms
from modelseal.cli.options import Output

_CaffeModel: TypeAlias = Annotated[
    Path,
    typer.Argument(metavar="MODEL.CAFFEMODEL", help="The weights.", show_default=False),
]
Description: TypeAlias = Annotated[
    Path,
    typer.Argument(
        metavar="DEPLOY.PROTOTXT",
        help="The layers, which names and shapes are checked against.",
        show_default=False,
    ),
]


def convert(model: _CaffeModel, description: Description, *, output: Output) -> None:
    """Make a .safetensors file of weights that Caffe wrote; torch is not needed."""
    from modelseal.cli.console import Paper

    tensors = ms.convert_caffe(model, description, output)
    count = sum(tensor.size for tensor in tensors.values())
    Paper().write(f"{output}: {len(tensors)} tensors, {count} weights")
