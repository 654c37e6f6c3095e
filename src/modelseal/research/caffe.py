"""Which layers with weights a Caffe description has, and of what shapes their weights are."""

import mmap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TypeAlias

import numpy as np
from safetensors.numpy import save

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.files import explain, write_atomically
from modelseal.research.protobuf import (
    Field,
    Message,
    Wire,
    join_floats,
    join_numbers,
    parse_prototext,
    read_message,
    read_text,
)
from modelseal.types import Array

_Shape: TypeAlias = tuple[int, ...] | None
"""Channels, height and width of what a layer gives, or its length; None where it is not known."""

_TODAY: Mapping[str, str] = {"CONVOLUTION": "Convolution", "INNER_PRODUCT": "InnerProduct"} | {
    name.upper(): name
    for name in ("Pooling", "ReLU", "Dropout", "Softmax", "LRN", "TanH", "Power", "Sigmoid")
}
"""The kinds of layers of 2014 by what they are called today."""

_SAME_SHAPE = {"ReLU", "Dropout", "Softmax", "LRN", "TanH", "Power", "Sigmoid", "ELU"}

_OTHER_WEIGHTS = {
    *("Deconvolution", "DECONVOLUTION", "BatchNorm", "Scale", "Bias", "PReLU", "Embed", "LSTM"),
    "RNN",
}
"""Kinds of layers that have weights and are not read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Declared:
    """A layer with weights, as it is described."""

    name: str
    shapes: Mapping[str, tuple[int | None, ...]]


def declare_layers(network: Message) -> tuple[_Declared, ...]:
    """The layers with weights that a description has, in its order."""
    sizes = _input_sizes(network)
    declared: list[_Declared] = []
    for layer in (*network.messages("layers"), *network.messages("layer")):
        name, kind = _one_text(layer, "name"), _one_text(layer, "type")
        kind = _TODAY.get(kind, kind)
        bottoms, tops = layer.texts("bottom"), layer.texts("top")
        taken = sizes.get(bottoms[0]) if len(bottoms) == 1 else None
        try:
            found, given = _follow(layer, kind, taken)
        except InvalidArgumentError as error:
            raise InvalidArgumentError(str(error), field=name) from error
        if found:
            declared.append(_Declared(name=name, shapes=found))
        sizes.update(dict.fromkeys(tops, given))
    if len({each.name for each in declared}) != len(declared) or not declared:
        raise InvalidArgumentError(
            "expected convolutions or inner products with names of their own, got "
            f"{len(declared)} with {len({each.name for each in declared})} names"
        )
    return tuple(declared)


def _follow(
    layer: Message, kind: str, taken: _Shape
) -> tuple[dict[str, tuple[int | None, ...]], _Shape]:
    """The shapes of a layer's weights, none if it has none, and of what it gives."""
    match kind:
        case "Convolution":
            return _convolution(settings(layer, "convolution_param"), taken)
        case "InnerProduct":
            return _inner_product(settings(layer, "inner_product_param"), taken)
        case "Input":
            return {}, _one_shape(settings(layer, "input_param").messages("shape"))
        case "Pooling":
            return {}, _pooled(settings(layer, "pooling_param"), taken)
    if kind in _OTHER_WEIGHTS:
        raise InvalidArgumentError(
            f"expected Convolution and InnerProduct as layers with weights, got {kind}"
        )
    return {}, taken if kind in _SAME_SHAPE else None


def _convolution(own: Message, taken: _Shape) -> tuple[dict[str, tuple[int | None, ...]], _Shape]:
    filters, groups = _one_number(own, "num_output"), _one_number(own, "group", 1)
    kernel = pair(own, "kernel_size", "kernel_h", "kernel_w", None)
    if min(filters, groups, *kernel) < 1 or filters % groups:
        raise InvalidArgumentError(
            "expected positive sizes and as many filters in each group, got num_output "
            f"{filters}, group {groups} and the kernel {list(kernel)}"
        )
    channels = taken[0] // groups if taken and len(taken) == 3 else None
    shapes = _with_bias(own, (filters, channels, *kernel))
    pads, strides = (
        pair(own, "pad", "pad_h", "pad_w", 0),
        pair(own, "stride", "stride_h", "stride_w", 1),
    )
    wide = pair(own, "dilation", "dilation_h", "dilation_w", 1)
    if taken is None or len(taken) != 3 or min(strides) < 1:
        return shapes, None
    across = [
        (size + 2 * pad - step * (side - 1) - 1) // stride + 1
        for size, pad, side, stride, step in zip(
            taken[1:], pads, kernel, strides, wide, strict=True
        )
    ]
    if min(across) < 1:
        raise InvalidArgumentError(f"the kernel {list(kernel)} is larger than {list(taken[1:])}")
    return shapes, (filters, *across)


def _inner_product(own: Message, taken: _Shape) -> tuple[dict[str, tuple[int | None, ...]], _Shape]:
    outputs = _one_number(own, "num_output")
    if outputs < 1 or own.texts("transpose") == ["true"] or own.numbers("axis") not in ([], [1]):
        raise InvalidArgumentError(
            "expected an inner product of the first axis, not transposed and with outputs"
        )
    return _with_bias(own, (outputs, prod(taken) if taken else None)), (outputs,)


def _pooled(own: Message, taken: _Shape) -> _Shape:
    if taken is None or len(taken) != 3:
        return None
    if own.texts("global_pooling") == ["true"]:
        return (taken[0], 1, 1)
    kernel = pair(own, "kernel_size", "kernel_h", "kernel_w", None)
    pads = pair(own, "pad", "pad_h", "pad_w", 0)
    strides = pair(own, "stride", "stride_h", "stride_w", 1)
    if min(*kernel, *strides) < 1:
        raise InvalidArgumentError(f"expected positive sizes, got {[*kernel, *strides]}")
    across = []
    for size, side, pad, stride in zip(taken[1:], kernel, pads, strides, strict=True):
        count = -((size + 2 * pad - side) // -stride) + 1
        across.append(count - (pad > 0 and (count - 1) * stride >= size + pad))
    return (taken[0], *across)


def _with_bias(own: Message, weight: tuple[int | None, ...]) -> dict[str, tuple[int | None, ...]]:
    """The shapes of weights and, unless it is left out, of a bias for each output."""
    bias = {} if own.texts("bias_term") == ["false"] else {"bias": weight[:1]}
    return {"weight": weight, **bias}


def _input_sizes(network: Message) -> dict[str, _Shape]:
    """The shapes of the network's inputs, as both older forms tell them, without the batch."""
    names, dims = network.texts("input"), network.numbers("input_dim")
    if len(dims) == 4 * len(names):
        return {name: tuple(dims[4 * at + 1 : 4 * at + 4]) for at, name in enumerate(names)}
    shapes = network.messages("input_shape")
    if len(shapes) == len(names):
        return {name: _one_shape([shape]) for name, shape in zip(names, shapes, strict=True)}
    return {}


def _one_shape(shapes: list[Message]) -> _Shape:
    """The only shape, without the batch; None if there are none or several."""
    return tuple(shapes[0].numbers("dim")[1:]) or None if len(shapes) == 1 else None


def settings(layer: Message, name: str) -> Message:
    """The numbers of a layer's kind; an empty message if there are none."""
    found = layer.messages(name)
    return found[-1] if found else Message(fields={})


def _one_text(layer: Message, name: str) -> str:
    """The only value of a field; empty if it is missing."""
    return (layer.texts(name) or [""])[-1]


def _one_number(own: Message, name: str, default: int | None = None) -> int:
    found = own.numbers(name) or ([] if default is None else [default])
    if not found:
        raise InvalidArgumentError(f"{name} is missing")
    return found[-1]


def pair(own: Message, both: str, high: str, wide: str, default: int | None) -> tuple[int, int]:
    """A size for height and width: one for both, two, or each by its own name."""
    found = own.numbers(both)
    if len(found) > 2:
        raise InvalidArgumentError(f"expected one or two numbers in {both}, got {len(found)}")
    if found:
        return found[0], found[-1]
    if not own.numbers(high) and not own.numbers(wide) and default is None:
        raise InvalidArgumentError(f"{both} is missing")
    return _one_number(own, high, default), _one_number(own, wide, default)


LARGEST_MODEL = 2**31
"""Bytes of a model file: protobuf itself allows no more."""

LARGEST_TEXT = 2**22
"""Bytes of a description; that of a network of a thousand layers has a tenth of it."""

_MOST_AXES = 8
_LARGEST_AXIS = 2**31

# The numbers of fields in caffe.proto, which never change. First those of the network.
_OLD_LAYERS, _NEW_LAYERS = 2, 100
# Of a layer of each form: its name and its blobs; the first form has one of 2013 inside itself.
_NAME_OF, _BLOBS_OF, _OLDEST = {_OLD_LAYERS: 4, _NEW_LAYERS: 1}, {_OLD_LAYERS: 6, _NEW_LAYERS: 7}, 1
# Of a blob: four sizes, then what came later.
_OLD_SIZES, _FLOATS, SHAPE, _DOUBLES = (1, 2, 3, 4), 5, 7, 8
# Of a shape.
_SIZES = 1


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class _Layer:
    """A layer of a model file that has weights."""

    name: str
    blobs: tuple[Array, ...]


def convert_caffe(
    model: str | Path, description: str | Path, output: str | Path
) -> dict[str, Array]:
    """Makes a `.safetensors` file of weights that Caffe wrote; torch is not needed.

    Args:
        model: The `.caffemodel`.
        description: The `.prototxt`, which names and shapes are checked against.
        output: The file to write; its name ends in `.safetensors`.

    Returns:
        The weights by the names that torch gives them.

    Raises:
        BadFileError: A file cannot be read or written, is something else, or has other layers or
            shapes than the other one.
    """
    target = Path(output)
    if target.suffix != ".safetensors":
        raise BadFileError(target, "expected a name that ends in .safetensors")
    if target.resolve() in {Path(each).resolve() for each in (model, description)}:
        raise BadFileError(target, "expected a file that is not read as well")
    tensors = read_caffe(Path(model), Path(description))
    write_atomically(target, save(tensors))
    return tensors


def read_caffe(model: Path, description: Path) -> dict[str, Array]:
    """Reads the weights of a network that Caffe wrote."""
    declared = _read_description(description)
    layers = {layer.name: layer for layer in _read_model(model) if layer.blobs}
    missing = [each.name for each in declared if each.name not in layers]
    if missing:
        raise BadFileError(model, f"expected a layer {missing[0]}, as in {description.name}")
    unknown = layers.keys() - {each.name for each in declared}
    if unknown:
        raise BadFileError(model, f"expected the layers of {description.name}, got {min(unknown)}")
    tensors: dict[str, Array] = {}
    for each in declared:
        try:
            tensors |= fit(layers[each.name], each)
        except InvalidArgumentError as error:
            raise BadFileError(model, str(error), field=each.name) from error
    return tensors


def _read_description(path: Path) -> tuple[_Declared, ...]:
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_TEXT + 1)
        if len(content) > LARGEST_TEXT:
            raise BadFileError(path, f"expected at most {LARGEST_TEXT} bytes of text")
        declared = declare_layers(parse_prototext(content.decode()))
    except UnicodeDecodeError as error:
        raise BadFileError(path, "is no text in UTF-8") from error
    except (OSError, InvalidArgumentError) as error:
        raise BadFileError(path, f"cannot be read as a prototxt: {_reason(error)}") from error
    return declared


def _read_model(path: Path) -> list[_Layer]:
    """The layers of a `.caffemodel`, with those that have no weights."""
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            if not 0 < size <= LARGEST_MODEL:
                raise BadFileError(path, f"expected 1 to {LARGEST_MODEL} bytes, got {size}")
            content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return _list_layers(content)
    except (OSError, InvalidArgumentError) as error:
        raise BadFileError(path, f"cannot be read as a caffemodel: {_reason(error)}") from error


def _list_layers(content: memoryview) -> list[_Layer]:
    network = read_message(content)
    layers = [
        _read_layer(each, form)
        for form in (_OLD_LAYERS, _NEW_LAYERS)
        for each in network.get(form, [])
    ]
    names = [layer.name for layer in layers if layer.blobs]
    if len(set(names)) != len(names) or not names:
        raise InvalidArgumentError(
            f"expected layers with weights and names of their own, got {len(names)} "
            f"with {len(set(names))} names"
        )
    return layers


def _read_layer(field: Field, form: int) -> _Layer:
    fields = read_message(field.content)
    if form == _OLD_LAYERS and _OLDEST in fields:
        raise InvalidArgumentError("expected layers of 2014 or later, got some of 2013")
    name = read_text(fields.get(_NAME_OF[form], []))
    try:
        blobs = tuple(_read_blob(each) for each in fields.get(_BLOBS_OF[form], []))
    except InvalidArgumentError as error:
        raise InvalidArgumentError(str(error), field=name) from error
    return _Layer(name=name, blobs=blobs)


def _read_blob(field: Field) -> Array:
    """An array of weights, of the shape that it tells."""
    fields = read_message(field.content)
    floats = join_floats(fields.get(_FLOATS, []), Wire.FOUR_BYTES)
    doubles = join_floats(fields.get(_DOUBLES, []), Wire.EIGHT_BYTES)
    if len(floats) and len(doubles):
        raise InvalidArgumentError("expected floats or doubles, got both")
    if SHAPE in fields:
        shape = join_numbers(read_message(fields[SHAPE][-1].content).get(_SIZES, []))
    else:
        sizes = [join_numbers(fields.get(number, [])) for number in _OLD_SIZES]
        shape = [size[-1] if size else 0 for size in sizes]
    if len(shape) > _MOST_AXES or not all(0 < size < _LARGEST_AXIS for size in shape):
        raise InvalidArgumentError(
            f"expected 1 to {_MOST_AXES} positive sizes, got {shape[: _MOST_AXES + 1]}"
        )
    values = doubles if len(doubles) else floats
    if prod(shape) != len(values):
        raise InvalidArgumentError(
            f"expected {prod(shape)} numbers for shape {shape}, got {len(values)}"
        )
    return values.reshape(shape)


def fit(layer: _Layer, declared: _Declared) -> dict[str, Array]:
    """The weights of a layer by name, in the shapes that torch wants."""
    wanted: Mapping[str, Sequence[int | None]] = declared.shapes
    if len(layer.blobs) != len(wanted):
        raise InvalidArgumentError(
            f"expected {len(wanted)} arrays ({', '.join(wanted)}), got {len(layer.blobs)}"
        )
    tensors: dict[str, Array] = {}
    for (part, shape), blob in zip(wanted.items(), layer.blobs, strict=True):
        # The older form fills shapes up to four axes with ones in front.
        fitted = blob.reshape(_without_front(blob.shape, len(shape)))
        if not _is_shape(fitted.shape, shape):
            asked = ", ".join("any" if size is None else str(size) for size in shape)
            raise InvalidArgumentError(
                f"expected {part} of shape [{asked}], got {list(blob.shape)}"
            )
        with np.errstate(over="ignore"):
            values = fitted.astype(np.float32)
        if not np.isfinite(values).all():
            raise InvalidArgumentError(f"expected finite numbers in {part}")
        tensors[f"{declared.name}.{part}"] = values
    return tensors


def _without_front(shape: Sequence[int], axes: int) -> tuple[int, ...]:
    """A shape without the ones in front of so many axes, if there are nothing but ones."""
    front = len(shape) - axes
    return tuple(shape[front:] if front > 0 and set(shape[:front]) == {1} else shape)


def _is_shape(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    """Whether a shape has the wanted sizes, of which None may be any."""
    return len(shape) == len(wanted) and all(
        asked in {size, None} for size, asked in zip(shape, wanted, strict=True)
    )


def _reason(error: OSError | InvalidArgumentError) -> str:
    return explain(error) if isinstance(error, OSError) else str(error)
