import numpy as np
import pytest
import torch
from caffe_schema import Network, UnpackedNetwork, fill, text_of
from torch import nn

from modelseal.errors import BadFileError, InvalidArgumentError
from modelseal.research import caffe
from modelseal.research.caffe import declare_layers, read_caffe
from modelseal.research.protobuf import parse_prototext
from modelseal.research.vgg_face import BLOCKS, VggFace


@pytest.fixture
def weights():
    """Two convolutions, the second in two groups without a bias, and an inner product."""
    random = np.random.default_rng(0)
    shapes = {
        "one.weight": (4, 3, 3, 3), "one.bias": (4,), "two.weight": (6, 2, 1, 2),
        "out.weight": (5, 24), "out.bias": (5,),
    }  # fmt: skip
    return {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}


def build(weights, *, form="layer", kind="data", network=Network):
    """The network of these weights in the current or in the older form."""
    made = network(name="small")
    made.input.append("data")
    made.input_dim.extend([1, 3, 6, 8])
    layers = getattr(made, form)
    types = ("Convolution", "Convolution", "Pooling", "InnerProduct")
    types = types if form == "layer" else (4, 4, 17, 14)
    bottom = "data"
    for name, type_ in zip(("one", "two", "pool", "out"), types, strict=True):
        layer = layers.add(name=name, type=type_, bottom=[bottom], top=[name])
        for part in ("weight", "bias"):
            if f"{name}.{part}" in weights:
                shape = "shape" if form == "layer" else "sizes"
                fill(layer.blobs.add(), weights[f"{name}.{part}"], form=shape, kind=kind)
        bottom = name
    one, two, pool, out = layers
    one.convolution_param.MergeFrom(
        type(one.convolution_param)(num_output=4, kernel_size=[3], pad=[1], stride=[2])
    )
    two.convolution_param.MergeFrom(
        type(one.convolution_param)(
            num_output=6, kernel_size=[1, 2], group=2, bias_term=False, stride=[1]
        )
    )
    # Its 3 x 3 places become 2 x 2, since a pooling rounds up: 24 values.
    pool.pooling_param.kernel_size = pool.pooling_param.stride = 2
    out.inner_product_param.num_output = 5
    return made


@pytest.fixture
def files(tmp_path, weights):
    """Writes a model and its description."""

    def write(network, text=None):
        (tmp_path / "a.caffemodel").write_bytes(network.SerializeToString())
        (tmp_path / "a.prototxt").write_text(text_of(network) if text is None else text)
        return tmp_path / "a.caffemodel", tmp_path / "a.prototxt"

    return write


FORMS = [("layer", Network), ("layers", Network), ("layer", UnpackedNetwork)]


@pytest.mark.parametrize("kind", ["data", "double_data"])
@pytest.mark.parametrize(("form", "network"), FORMS)
def test_the_weights_come_back_whatever_form_they_were_written_in(
    files, weights, form, network, kind
):
    read = read_caffe(*files(build(weights, form=form, kind=kind, network=network)))
    assert list(read) == list(weights)
    for name, array in weights.items():
        assert read[name].dtype == np.float32
        assert np.array_equal(read[name], array)


@pytest.mark.parametrize("form", ["layer", "layers"])
def test_a_whole_vgg_face_comes_back_as_the_network_it_was(files, form):
    network = VggFace(classes=5, width=2, hidden=6, size=64)
    state = network.state_dict()
    made = Network(input=["data"], input_dim=[10, 3, 64, 64])
    layers, old = getattr(made, form), form == "layers"
    bottom = "data"

    def add(name, kind, number):
        nonlocal bottom
        layer = layers.add(name=name, type=number if old else kind, bottom=[bottom], top=[name])
        for part in ("weight", "bias"):
            if f"{name}.{part}" in state:
                array = state[f"{name}.{part}"].numpy()
                fill(layer.blobs.add(), array, form="sizes" if old else "shape")
        bottom = name
        return layer

    for block, count in enumerate(BLOCKS, start=1):
        for number in range(1, count + 1):
            own = add(f"conv{block}_{number}", "Convolution", 4).convolution_param
            own.num_output = len(state[f"conv{block}_{number}.bias"])
            own.kernel_size.append(3)
            own.pad.append(1)
            layers.add(name="relu", type=18 if old else "ReLU", bottom=[bottom], top=[bottom])
        own = add(f"pool{block}", "Pooling", 17).pooling_param
        own.kernel_size = own.stride = 2
    for name in ("fc6", "fc7", "fc8"):
        own = add(name, "InnerProduct", 14).inner_product_param
        own.num_output = len(state[f"{name}.bias"])
        layers.add(name="drop", type=6 if old else "Dropout", bottom=[bottom], top=[bottom])
    read = {name: torch.from_numpy(each) for name, each in read_caffe(*files(made)).items()}
    assert list(read) == list(state)
    assert all(torch.equal(read[name], each) for name, each in state.items())


def test_a_layer_takes_what_the_layers_before_it_give(files, weights):
    made = build({**weights, "out.weight": np.ones((5, 30), np.float32)})
    with pytest.raises(BadFileError, match=r"out: .*\[5, 24\].*\[5, 30\]"):
        read_caffe(*files(made))
    # Behind a layer of a kind that nobody knows, any number may come.
    text = text_of(made).replace('"Pooling"', '"Python"')
    assert read_caffe(*files(made, text))["out.weight"].shape == (5, 30)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"one.weight": np.ones((4, 3, 3, 5))}, "one: "),
        ({"one.bias": np.ones(5)}, "one: "),
        ({"one.bias": None}, "one: "),
        ({"two.bias": np.ones(6)}, "two: "),
        ({"two.weight": None}, "two"),
        ({"out.bias": np.full(5, np.inf)}, "out: "),
        ({"out.bias": np.full(5, 1e300)}, "out: "),
    ],
)
def test_weights_that_are_not_as_described_are_refused(files, weights, change, sentence):
    text = text_of(build(weights))
    changed = {name: each for name, each in {**weights, **change}.items() if each is not None}
    with pytest.raises(BadFileError, match=sentence):
        read_caffe(*files(build(changed, kind="double_data"), text))


def add_blob(layer):
    fill(layer.blobs.add(), np.ones(2))


@pytest.mark.parametrize(
    ("form", "change", "sentence"),
    [
        ("layer", lambda made: add_blob(made.layer.add(name="more")), "more"),
        ("layer", lambda made: add_blob(made.layer.add(name="one")), "4 with 3"),
        ("layers", lambda made: setattr(made.layers.add().layer, "name", "old"), "2013"),
        ("layer", lambda made: made.layer[0].blobs[0].double_data.append(1), "one: "),
    ],
)
def test_layers_that_are_not_as_described_are_refused(files, weights, form, change, sentence):
    made = build(weights, form=form)
    text = text_of(made)
    change(made)
    with pytest.raises(BadFileError, match=sentence):
        read_caffe(*files(made, text))


@pytest.mark.parametrize(
    "shape", [[4, 3, 3, 4], [4, 3, 3, -3], [2**40, 2**40], [1] * 9, [1] * 1025, []]
)
def test_a_shape_of_other_numbers_is_refused(files, weights, shape):
    made = build(weights)
    text = text_of(made)
    made.layer[0].blobs[0].shape.ClearField("dim")
    made.layer[0].blobs[0].shape.dim.extend(shape)
    with pytest.raises(BadFileError, match="one: "):
        read_caffe(*files(made, text))


def test_a_model_that_was_cut_off_or_is_none_is_refused(files, weights):
    model, description = files(build(weights))
    content = model.read_bytes()
    cut = [content[:length] for length in range(1, len(content), 7)]
    for each in (*cut, b"", b"\x00", b"PK\x03\x04 no message", b"\x12\x7f"):
        model.write_bytes(each)
        with pytest.raises(BadFileError, match=r"a\.(caffemodel|prototxt)"):
            read_caffe(model, description)


def test_a_file_that_is_missing_or_too_large_is_refused(files, weights, monkeypatch):
    model, description = files(build(weights))
    for given in ((model, description.with_name("no")), (model.with_name("no"), description)):
        with pytest.raises(BadFileError, match=r"/no: "):
            read_caffe(*given)
    for limit, file in (("LARGEST_MODEL", "a.caffemodel"), ("LARGEST_TEXT", "a.prototxt")):
        monkeypatch.setattr(caffe, limit, 10)
        with pytest.raises(BadFileError, match=f"{file}: .* 10 bytes"):
            read_caffe(model, description)


FIRST = (
    'layer { name: "c" type: "Convolution" bottom: "data" top: "c" '
    "convolution_param { num_output: 4 %s } } "
)
LAST = (
    'layer { name: "f" type: "InnerProduct" bottom: "c" top: "f" '
    "inner_product_param { num_output: 2 %s } }"
)
SIZES = "dim: 1 dim: 2 dim: 9 dim: 12"
INPUT = f'input: "data" input_shape {{ {SIZES} }} '
INPUT_LAYER = (
    f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ {SIZES} }} }} }} '
)


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
@pytest.mark.parametrize("start", [INPUT, INPUT_LAYER])
def test_a_convolution_has_the_shapes_that_torch_gives_it(start, own, layer):
    keep = 'layer { name: "r" type: "ReLU" bottom: "c" top: "c" } '
    found = declare(start + FIRST % own + keep + LAST % "bias_term: true")
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
    assert found == {"c": {"weight": (4, None, 3, 3), "bias": (4,)}, "f": {"weight": (2, None)}}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "got 0 with 0"),
        (2 * (FIRST % "kernel_size: 1"), "got 2 with 1"),
        (FIRST % "", "c: "),
        (FIRST % "kernel_h: 3", "c: "),
        (FIRST % "kernel_size: [1, 2, 3]", "c: "),
        (FIRST % "kernel_size: 0", "c: "),
        (FIRST % "kernel_size: 1 group: 3", "c: "),
        (INPUT + FIRST % "kernel_size: 10", "c: "),
        ((LAST % "").replace("num_output: 2", ""), "f: "),
        (LAST % "transpose: true", "f: "),
        (LAST % "axis: 2", "f: "),
        ('layer { name: "b" type: "BatchNorm" }', "b: "),
        ("layers { name: 'd' type: DECONVOLUTION }", "d: "),
        (
            INPUT + 'layer { name: "p" type: "Pooling" bottom: "data" pooling_param { '
            "kernel_size: 2 stride: 0 } }",
            "p: ",
        ),
    ],
)
def test_descriptions_of_other_networks_are_refused(text, sentence):
    with pytest.raises(InvalidArgumentError, match=sentence):
        declare(text)
