"""`modelseal convert`: makes a file of weights of what Caffe wrote."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from modelseal.cli.options import Output

CaffeModel: TypeAlias = Annotated[
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


def convert(model: CaffeModel, description: Description, *, output: Output) -> None:
    """Make a .safetensors file of weights that Caffe wrote; torch is not needed."""
    from safetensors.numpy import save

    from modelseal.cli.console import Paper
    from modelseal.cli.fingerprint_files import check_output
    from modelseal.errors import BadFileError
    from modelseal.files import write_atomically
    from modelseal.research.caffe import read_caffe

    check_output(output, inputs=[model, description])
    if output.suffix != ".safetensors":
        raise BadFileError(output, "a name that ends in .safetensors was wanted")
    tensors = read_caffe(model, description)
    write_atomically(output, save(tensors))
    count = sum(tensor.size for tensor in tensors.values())
    Paper().write(f"{output}: {len(tensors)} tensors, {count} weights")
