"""Reads the weights of a network that Caffe wrote.

A `.caffemodel` is a protobuf message, a `.prototxt` the text form of the same one: a network of
layers, in the current form (`layer`) or in that of 2014 (`layers`). Weights are in the first,
what shapes they should have follows from the second.
"""

import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.models.caffe_layers import Declared, declare_layers
from modelseal.models.protobuf import (
    Field,
    Wire,
    join_floats,
    join_numbers,
    read_message,
    read_text,
)
from modelseal.models.prototext import parse_prototext
from modelseal.shapes import Array
from modelseal.writing import explain

LARGEST_MODEL = 2**31
"""Bytes of a model file: protobuf itself allows no more."""

LARGEST_TEXT = 2**22
"""Bytes of a description; that of a network of a thousand layers has a tenth of it."""

MOST_AXES = 8
LARGEST_AXIS = 2**31

# The numbers of fields in caffe.proto, which never change. First those of the network.
OLD_LAYERS, NEW_LAYERS = 2, 100
# Of a layer of each form: its name and its blobs; the first form has one of 2013 inside itself.
NAME_OF, BLOBS_OF, OLDEST = {OLD_LAYERS: 4, NEW_LAYERS: 1}, {OLD_LAYERS: 6, NEW_LAYERS: 7}, 1
# Of a blob: four sizes, then what came later.
OLD_SIZES, FLOATS, SHAPE, DOUBLES = (1, 2, 3, 4), 5, 7, 8
# Of a shape.
SIZES = 1


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class Layer:
    """A layer of a model file that has weights.

    Args:
        name: Its name.
        blobs: Its weights, then its biases if it has any, in the shapes that the file tells.
    """

    name: str
    blobs: tuple[Array, ...]


def read_caffe(model: Path, description: Path) -> dict[str, Array]:
    """Reads the weights of a network that Caffe wrote.

    Args:
        model: The `.caffemodel`.
        description: The `.prototxt`; its convolutions and inner products say which layers there
            are and of what shapes.

    Returns:
        The weights by the names that torch gives them, `NAME.weight` and `NAME.bias`, in the
        order of the description, as float32.

    Raises:
        BadFileError: A file cannot be read, is something else, or has other layers or shapes than
            the other one.
    """
    declared = read_description(description)
    layers = {layer.name: layer for layer in read_model(model) if layer.blobs}
    missing = [each.name for each in declared if each.name not in layers]
    if missing:
        raise BadFileError(model, f"needs a layer {missing[0]}, as {description.name} says")
    unknown = layers.keys() - {each.name for each in declared}
    if unknown:
        raise BadFileError(model, f"has layer {min(unknown)}, which {description.name} lacks")
    tensors: dict[str, Array] = {}
    for each in declared:
        try:
            tensors |= fit(layers[each.name], each)
        except InvalidArgumentError as error:
            raise BadFileError(model, str(error), field=each.name) from error
    return tensors


def read_description(path: Path) -> tuple[Declared, ...]:
    """The layers with weights that a `.prototxt` describes, at least one.

    Raises:
        BadFileError: It cannot be read or describes no such network.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_TEXT + 1)
        if len(content) > LARGEST_TEXT:
            raise BadFileError(path, f"at most {LARGEST_TEXT} bytes of text were wanted")
        declared = declare_layers(parse_prototext(content.decode()))
    except UnicodeDecodeError as error:
        raise BadFileError(path, "is no text in UTF-8") from error
    except (OSError, InvalidArgumentError) as error:
        raise BadFileError(path, f"cannot be read as a prototxt: {_reason(error)}") from error
    return declared


def read_model(path: Path) -> list[Layer]:
    """The layers of a `.caffemodel`, with those that have no weights.

    Their weights stay in the file, which the system reads where it is needed.

    Raises:
        BadFileError: It cannot be read or is something else.
    """
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if not 0 < size <= LARGEST_MODEL:
                raise BadFileError(path, f"1 to {LARGEST_MODEL} bytes were wanted, not {size}")
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return list_layers(content)
    except (OSError, InvalidArgumentError) as error:
        raise BadFileError(path, f"cannot be read as a caffemodel: {_reason(error)}") from error


def list_layers(content: memoryview) -> list[Layer]:
    """The layers of a network message, of both forms.

    Raises:
        InvalidArgumentError: The bytes are something else, or two layers with weights share a
            name.
    """
    network = read_message(content)
    layers = [
        read_layer(each, form)
        for form in (OLD_LAYERS, NEW_LAYERS)
        for each in network.get(form, [])
    ]
    names = [layer.name for layer in layers if layer.blobs]
    if len(set(names)) != len(names) or not names:
        raise InvalidArgumentError(
            f"layers with weights and names of their own were wanted, but there are {len(names)} "
            f"with {len(set(names))} names"
        )
    return layers


def read_layer(field: Field, form: int) -> Layer:
    """A layer of the form that its field says."""
    fields = read_message(field.content)
    if form == OLD_LAYERS and OLDEST in fields:
        raise InvalidArgumentError("layers of 2014 or later were wanted, but these are of 2013")
    name = read_text(fields.get(NAME_OF[form], []))
    try:
        blobs = tuple(read_blob(each) for each in fields.get(BLOBS_OF[form], []))
    except InvalidArgumentError as error:
        raise InvalidArgumentError(str(error), field=name) from error
    return Layer(name=name, blobs=blobs)


def read_blob(field: Field) -> Array:
    """An array of weights, of the shape that it tells."""
    fields = read_message(field.content)
    floats = join_floats(fields.get(FLOATS, []), Wire.FOUR_BYTES)
    doubles = join_floats(fields.get(DOUBLES, []), Wire.EIGHT_BYTES)
    if len(floats) and len(doubles):
        raise InvalidArgumentError("floats or doubles were wanted, but both are there")
    if SHAPE in fields:
        shape = join_numbers(read_message(fields[SHAPE][-1].content).get(SIZES, []))
    else:
        sizes = [join_numbers(fields.get(number, [])) for number in OLD_SIZES]
        shape = [size[-1] if size else 0 for size in sizes]
    if len(shape) > MOST_AXES or not all(0 < size < LARGEST_AXIS for size in shape):
        raise InvalidArgumentError(
            f"1 to {MOST_AXES} positive sizes were wanted, but came {shape[: MOST_AXES + 1]}"
        )
    values = doubles if len(doubles) else floats
    if prod(shape) != len(values):
        raise InvalidArgumentError(
            f"{prod(shape)} numbers were wanted for shape {shape}, but there are {len(values)}"
        )
    return values.reshape(shape)


def fit(layer: Layer, declared: Declared) -> dict[str, Array]:
    """The weights of a layer by name, in the shapes that torch wants.

    Raises:
        InvalidArgumentError: They have other shapes than the description asks for, or one is no
            finite float32.
    """
    wanted: Mapping[str, Sequence[int | None]] = declared.shapes
    if len(layer.blobs) != len(wanted):
        raise InvalidArgumentError(
            f"{len(wanted)} arrays ({', '.join(wanted)}) were wanted, not {len(layer.blobs)}"
        )
    tensors: dict[str, Array] = {}
    for (part, shape), blob in zip(wanted.items(), layer.blobs, strict=True):
        # The older form fills shapes up to four axes with ones in front.
        fitted = blob.reshape(without_front(blob.shape, len(shape)))
        if not is_shape(fitted.shape, shape):
            asked = ", ".join("any" if size is None else str(size) for size in shape)
            raise InvalidArgumentError(f"{part} needs shape [{asked}], but has {list(blob.shape)}")
        with np.errstate(over="ignore"):
            values = fitted.astype(np.float32)
        if not np.isfinite(values).all():
            raise InvalidArgumentError(f"{part} holds an infinity or NaN")
        tensors[f"{declared.name}.{part}"] = values
    return tensors


def without_front(shape: Sequence[int], axes: int) -> tuple[int, ...]:
    """A shape without the ones in front of so many axes, if there are nothing but ones."""
    front = len(shape) - axes
    return tuple(shape[front:] if front > 0 and set(shape[:front]) == {1} else shape)


def is_shape(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    """Whether a shape has the wanted sizes, of which None may be any."""
    return len(shape) == len(wanted) and all(
        asked in {size, None} for size, asked in zip(shape, wanted, strict=True)
    )


def _reason(error: OSError | InvalidArgumentError) -> str:
    return explain(error) if isinstance(error, OSError) else str(error)
