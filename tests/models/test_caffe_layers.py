import pytest
import torch
from torch import nn

from modelseal.errors import InvalidArgumentError
from modelseal.research.caffe import declare_layers
from modelseal.research.protobuf import parse_prototext

FIRST = (
    'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
    "convolution_param { num_output: 4 %s } } "
)
LAST = (
    'layer { name: "f" type: "InnerProduct" bottom: "c" top: "f" '
    "inner_product_param { num_output: 2 %s } }"
)
INPUT = 'input: "data" input_shape { dim: 1 dim: 2 dim: 9 dim: 12 } '


def declare(text):
    return {layer.name: layer.shapes for layer in declare_layers(parse_prototext(text))}


@pytest.mark.parametrize(
    ("own", "layer"),
    [
        ("kernel_size: 3", nn.Conv2d(2, 4, 3)),
        ("kernel_size: 3 pad: 1 stride: 2", nn.Conv2d(2, 4, 3, padding=1, stride=2)),
        ("kernel_h: 2 kernel_w: 5 pad_w: 2", nn.Conv2d(2, 4, (2, 5), padding=(0, 2))),
        ("kernel_size: [2, 1] stride_h: 3", nn.Conv2d(2, 4, (2, 1), stride=(3, 1))),
        ("kernel_size: 3 dilation: 2 group: 2", nn.Conv2d(2, 4, 3, dilation=2, groups=2)),
        ("kernel_size: 1 bias_term: false", nn.Conv2d(2, 4, 1, bias=False)),
    ],
)
def test_a_convolution_has_the_shapes_that_torch_gives_it(own, layer):
    found = declare(INPUT + FIRST % own + LAST % "bias_term: true")
    wanted = {name: tuple(each.shape) for name, each in layer.named_parameters()}
    assert found["c"] == wanted
    assert found["f"]["weight"] == (2, layer(torch.zeros(1, 2, 9, 12)).numel())


@pytest.mark.parametrize(
    ("own", "wanted"),
    [
        ("kernel_size: 2 stride: 2", 4 * 5 * 6),
        ("kernel_size: 3 stride: 2", 4 * 4 * 6),
        ("kernel_size: 2 stride: 4 pad: 1", 4 * 3 * 4),
        ("kernel_h: 9 kernel_w: 12", 4),
        ("global_pooling: true", 4),
    ],
)
def test_a_pooling_rounds_up_but_begins_no_window_in_the_padding(own, wanted):
    pool = 'layer { name: "p" type: "Pooling" bottom: "c" top: "c" pooling_param { %s } } '
    found = declare(INPUT + FIRST % "kernel_size: 1" + pool % own + LAST % "")
    assert found["f"]["weight"] == (2, wanted)


def test_an_input_layer_tells_the_sizes_too():
    first = 'layer { name: "data" type: "Input" top: "data" input_param { shape { %s } } } '
    sizes = " ".join(f"dim: {size}" for size in (1, 2, 9, 12))
    found = declare(first % sizes + FIRST % "kernel_size: 9" + LAST % "")
    assert found["c"]["weight"] == (4, 2, 9, 9)
    assert found["f"]["weight"] == (2, 16)


@pytest.mark.parametrize(
    "before",
    [
        "",
        'input: "data" ',
        'layer { name: "x" type: "Data" top: "data" } ',
        'input: "data" input_shape { dim: 1 } ',
        'layer { name: "x" type: "Input" top: "data" } ',
    ],
)
def test_without_sizes_a_layer_s_own_numbers_are_known(before):
    pool = 'layer { name: "p" type: "Pooling" bottom: "c" top: "c" pooling_param { } } '
    found = declare(before + FIRST % "kernel_size: 3" + pool + LAST % "bias_term: false")
    assert found == {
        "c": {"weight": (4, None, 3, 3), "bias": (4,)},
        "f": {"weight": (2, None)},
    }


def test_layers_that_keep_their_shape_are_followed():
    keep = 'layer { name: "r" type: "ReLU" bottom: "c" top: "r" } '
    found = declare(INPUT + FIRST % "kernel_size: 9" + keep + (LAST % "").replace('"c"', '"r"'))
    assert found["f"]["weight"] == (2, 16)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"names of their own were wanted, but there are 0 with 0 names"),
        (2 * (FIRST % "kernel_size: 1"), r"there are 2 with 1 names"),
        (FIRST % "", r"c: kernel_size is missing"),
        (FIRST % "kernel_h: 3", r"c: kernel_w is missing"),
        (FIRST % "kernel_size: [1, 2, 3]", r"c: kernel_size needs one or two numbers.*has 3"),
        (FIRST % "kernel_size: 0", r"c: positive sizes .* the kernel \[0, 0\]"),
        (FIRST % "kernel_size: 1 group: 3", r"c: .* num_output is 4, group 3"),
        (INPUT + FIRST % "kernel_size: 10", r"c: the kernel \[10, 10\] is larger than \[9, 12\]"),
        ((LAST % "").replace("num_output: 2", ""), r"f: num_output is missing"),
        (LAST % "transpose: true", r"f: an inner product of the first axis, not transposed"),
        (LAST % "axis: 2", r"f: an inner product of the first axis, not transposed"),
        ('layer { name: "b" type: "BatchNorm" }', r"b: Convolution and InnerProduct are.*BatchN"),
        ("layers { name: 'd' type: DECONVOLUTION }", r"d: Convolution and Inner.*not DECONV"),
        (
            INPUT + 'layer { name: "p" type: "Pooling" bottom: "data" pooling_param { '
            "kernel_size: 2 stride: 0 } }",
            r"p: positive sizes were wanted, not \[2, 2, 0, 0\]",
        ),
    ],
)
def test_descriptions_of_other_networks_are_refused(text, sentence):
    with pytest.raises(InvalidArgumentError, match=sentence):
        declare(text)
