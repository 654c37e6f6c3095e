"""Which layers with weights a Caffe description has, and of what shapes their weights are."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from modelseal.errors import InvalidArgumentError
from modelseal.models.prototext import Message

Shape: TypeAlias = tuple[int, ...] | None
"""Channels, height and width of what a layer gives, or its length; None where it is not known."""

TODAY: Mapping[str, str] = {"CONVOLUTION": "Convolution", "INNER_PRODUCT": "InnerProduct"} | {
    name.upper(): name
    for name in ("Pooling", "ReLU", "Dropout", "Softmax", "LRN", "TanH", "Power", "Sigmoid")
}
"""The kinds of layers of 2014 by what they are called today."""

SAME_SHAPE = {"ReLU", "Dropout", "Softmax", "LRN", "TanH", "Power", "Sigmoid", "ELU"}
"""Kinds of layers that give what is shaped as what they take, and have no weights."""

OTHER_WEIGHTS = {
    "Deconvolution",
    "BatchNorm",
    "Scale",
    "Bias",
    "PReLU",
    "Embed",
    "LSTM",
    "RNN",
    "DECONVOLUTION",
}
"""Kinds of layers that have weights and are not read."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Declared:
    """A layer with weights, as it is described.

    Args:
        name: Its name.
        shapes: The shapes of `weight` and, if it has one, `bias`; None is a size that the
            description leaves open.
    """

    name: str
    shapes: Mapping[str, tuple[int | None, ...]]


def declare_layers(network: Message) -> tuple[Declared, ...]:
    """The layers with weights that a description has, in its order.

    The sizes of what goes from layer to layer are followed as far as they are known: behind a
    layer of another kind, or without an input size, only a layer's own numbers are checked.

    Raises:
        InvalidArgumentError: There is none, one is wrong, or one has weights of another kind.
    """
    sizes = input_sizes(network)
    declared: list[Declared] = []
    for layer in (*network.messages("layers"), *network.messages("layer")):
        name, kind = one_text(layer, "name"), one_text(layer, "type")
        kind = TODAY.get(kind, kind)
        bottoms, tops = layer.texts("bottom"), layer.texts("top")
        taken = sizes.get(bottoms[0]) if len(bottoms) == 1 else None
        try:
            found, given = follow(layer, kind, taken)
        except InvalidArgumentError as error:
            raise InvalidArgumentError(str(error), field=name) from error
        if found:
            declared.append(Declared(name=name, shapes=found))
        sizes.update(dict.fromkeys(tops, given))
    if len({each.name for each in declared}) != len(declared) or not declared:
        raise InvalidArgumentError(
            "convolutions or inner products with names of their own were wanted, but there are "
            f"{len(declared)} with {len({each.name for each in declared})} names"
        )
    return tuple(declared)


def follow(
    layer: Message, kind: str, taken: Shape
) -> tuple[dict[str, tuple[int | None, ...]], Shape]:
    """The shapes of a layer's weights, none if it has none, and of what it gives."""
    match kind:
        case "Convolution":
            return convolution(settings(layer, "convolution_param"), taken)
        case "InnerProduct":
            return inner_product(settings(layer, "inner_product_param"), taken)
        case "Input":
            return {}, one_shape(settings(layer, "input_param").messages("shape"))
        case "Pooling":
            return {}, pooled(settings(layer, "pooling_param"), taken)
    if kind in OTHER_WEIGHTS:
        raise InvalidArgumentError(
            f"Convolution and InnerProduct are the layers with weights that can be read, not {kind}"
        )
    return {}, taken if kind in SAME_SHAPE else None


def convolution(own: Message, taken: Shape) -> tuple[dict[str, tuple[int | None, ...]], Shape]:
    """A convolution: filters, channels of a group, height and width."""
    filters, groups = one_number(own, "num_output"), one_number(own, "group", 1)
    kernel = pair(own, "kernel_size", "kernel_h", "kernel_w", None)
    if min(filters, groups, *kernel) < 1 or filters % groups:
        raise InvalidArgumentError(
            "positive sizes and filters for each group alike were wanted, but num_output is "
            f"{filters}, group {groups} and the kernel {list(kernel)}"
        )
    channels = taken[0] // groups if taken and len(taken) == 3 else None
    shapes = with_bias(own, (filters, channels, *kernel))
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


def inner_product(own: Message, taken: Shape) -> tuple[dict[str, tuple[int | None, ...]], Shape]:
    """A linear layer of all that it takes."""
    outputs = one_number(own, "num_output")
    if outputs < 1 or own.texts("transpose") == ["true"] or own.numbers("axis") not in ([], [1]):
        raise InvalidArgumentError(
            "an inner product of the first axis, not transposed and with outputs was wanted"
        )
    return with_bias(own, (outputs, prod(taken) if taken else None)), (outputs,)


def pooled(own: Message, taken: Shape) -> Shape:
    """What a pooling gives: it rounds up, but no window begins in the padding behind."""
    if taken is None or len(taken) != 3:
        return None
    if own.texts("global_pooling") == ["true"]:
        return (taken[0], 1, 1)
    kernel = pair(own, "kernel_size", "kernel_h", "kernel_w", None)
    pads = pair(own, "pad", "pad_h", "pad_w", 0)
    strides = pair(own, "stride", "stride_h", "stride_w", 1)
    if min(*kernel, *strides) < 1:
        raise InvalidArgumentError(f"positive sizes were wanted, not {[*kernel, *strides]}")
    across = []
    for size, side, pad, stride in zip(taken[1:], kernel, pads, strides, strict=True):
        count = -((size + 2 * pad - side) // -stride) + 1
        across.append(count - (pad > 0 and (count - 1) * stride >= size + pad))
    return (taken[0], *across)


def with_bias(own: Message, weight: tuple[int | None, ...]) -> dict[str, tuple[int | None, ...]]:
    """The shapes of weights and, unless it is left out, of a bias for each output."""
    bias = {} if own.texts("bias_term") == ["false"] else {"bias": weight[:1]}
    return {"weight": weight, **bias}


def input_sizes(network: Message) -> dict[str, Shape]:
    """The shapes of the network's inputs, as both older forms tell them, without the batch."""
    names, dims = network.texts("input"), network.numbers("input_dim")
    if len(dims) == 4 * len(names):
        return {name: tuple(dims[4 * at + 1 : 4 * at + 4]) for at, name in enumerate(names)}
    shapes = network.messages("input_shape")
    if len(shapes) == len(names):
        return {name: one_shape([shape]) for name, shape in zip(names, shapes, strict=True)}
    return {}


def one_shape(shapes: list[Message]) -> Shape:
    """The only shape, without the batch; None if there are none or several."""
    return tuple(shapes[0].numbers("dim")[1:]) or None if len(shapes) == 1 else None


def settings(layer: Message, name: str) -> Message:
    """The numbers of a layer's kind; an empty message if there are none."""
    found = layer.messages(name)
    return found[-1] if found else Message(fields={})


def one_text(layer: Message, name: str) -> str:
    """The only value of a field; empty if it is missing."""
    return (layer.texts(name) or [""])[-1]


def one_number(own: Message, name: str, default: int | None = None) -> int:
    """The whole number of a field.

    Raises:
        InvalidArgumentError: It is missing, and there is no default.
    """
    found = own.numbers(name) or ([] if default is None else [default])
    if not found:
        raise InvalidArgumentError(f"{name} is missing")
    return found[-1]


def pair(own: Message, both: str, high: str, wide: str, default: int | None) -> tuple[int, int]:
    """A size for height and width: one for both, two, or each by its own name.

    Raises:
        InvalidArgumentError: They are missing, and there is no default; or there are more.
    """
    found = own.numbers(both)
    if len(found) > 2:
        raise InvalidArgumentError(f"{both} needs one or two numbers, but has {len(found)}")
    if found:
        return found[0], found[-1]
    if not own.numbers(high) and not own.numbers(wide) and default is None:
        raise InvalidArgumentError(f"{both} is missing")
    return one_number(own, high, default), one_number(own, wide, default)
