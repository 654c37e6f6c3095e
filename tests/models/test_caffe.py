import numpy as np
import pytest
import torch
from caffe_schema import Network, UnpackedNetwork, fill, text_of

from modelseal.errors import BadFileError
from modelseal.research import caffe
from modelseal.research.caffe import read_caffe
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
    with pytest.raises(BadFileError, match=r"out: weight needs shape \[5, 24\].*has \[5, 30\]"):
        read_caffe(*files(made))
    # Behind a layer of a kind that nobody knows, any number may come.
    text = text_of(made).replace('"Pooling"', '"Python"')
    assert read_caffe(*files(made, text))["out.weight"].shape == (5, 30)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"one.weight": np.ones((4, 3, 3, 5))}, r"one: weight needs shape \[4, 3, 3, 3\], but has"),
        ({"one.bias": np.ones(5)}, r"one: bias needs shape \[4\], but has \[5\]"),
        ({"one.bias": None}, r"one: 2 arrays \(weight, bias\) were wanted, not 1"),
        ({"two.bias": np.ones(6)}, r"two: 1 arrays \(weight\) were wanted, not 2"),
        ({"two.weight": None}, r"needs a layer two, as a.prototxt says"),
        ({"out.bias": np.full(5, np.inf)}, r"out: bias holds an infinity or NaN"),
        ({"out.bias": np.full(5, 1e300)}, r"out: bias holds an infinity or NaN"),
    ],
)
def test_weights_that_are_not_as_described_are_refused(files, weights, change, sentence):
    text = text_of(build(weights))
    changed = {name: each for name, each in {**weights, **change}.items() if each is not None}
    with pytest.raises(BadFileError, match=sentence):
        read_caffe(*files(build(changed, kind="double_data"), text))


def test_a_layer_that_is_not_described_is_refused(files, weights):
    made = build(weights)
    text = text_of(made)
    fill(made.layer.add(name="more").blobs.add(), np.ones(2))
    with pytest.raises(BadFileError, match=r"has layer more, which a.prototxt lacks"):
        read_caffe(*files(made, text))


def test_two_layers_of_one_name_are_refused(files, weights):
    made = build(weights)
    fill(made.layer.add(name="one").blobs.add(), np.ones(2))
    with pytest.raises(BadFileError, match=r"names of their own were wanted.* 4 with 3 names"):
        read_caffe(*files(made, text_of(build(weights))))


def test_layers_of_2013_are_refused(files, weights):
    made = build(weights, form="layers")
    text = text_of(made)
    made.layers.add().layer.name = "old"
    with pytest.raises(BadFileError, match=r"of 2014 or later were wanted, but .* of 2013"):
        read_caffe(*files(made, text))


def change_blob(made, **changes):
    blob = made.layer[0].blobs[0]
    for name, values in changes.items():
        blob.ClearField(name)
        if name == "shape":
            blob.shape.dim.extend(values)
        else:
            getattr(blob, name).extend(values)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"shape": [4, 3, 3, 4]}, r"one: 144 numbers were wanted for shape \[4, .*are 108"),
        ({"shape": [4, 3, 3, -3]}, r"one: 1 to 8 positive sizes were wanted"),
        ({"shape": [2**40, 2**40]}, r"one: 1 to 8 positive sizes were wanted"),
        ({"shape": [1] * 9}, r"one: 1 to 8 positive sizes were wanted"),
        ({"shape": [1] * 1025}, r"one: at most 1024 whole numbers were wanted"),
        ({"shape": []}, r"one: 1 numbers were wanted for shape \[\], but there are 108"),
        ({"double_data": [1.0]}, r"one: floats or doubles were wanted, but both are there"),
    ],
)
def test_a_blob_that_contradicts_itself_is_refused(files, weights, changes, sentence):
    made = build(weights)
    text = text_of(made)
    change_blob(made, **changes)
    with pytest.raises(BadFileError, match=sentence):
        read_caffe(*files(made, text))


@pytest.mark.parametrize("content", [b"", b"\x00", b"PK\x03\x04 no message", b"\x12\x7f"])
def test_a_file_that_is_no_caffemodel_is_refused(tmp_path, content):
    (tmp_path / "a.caffemodel").write_bytes(content)
    with pytest.raises(BadFileError, match=r"a.caffemodel: "):
        caffe.read_model(tmp_path / "a.caffemodel")


def test_a_model_that_was_cut_off_is_refused_wherever_that_was(files, weights):
    model, description = files(build(weights))
    content = model.read_bytes()
    for length in range(1, len(content), 7):
        model.write_bytes(content[:length])
        with pytest.raises(BadFileError, match=r"a\.(caffemodel|prototxt)"):
            read_caffe(model, description)


def test_a_file_that_is_missing_or_too_large_is_refused(files, weights, monkeypatch):
    model, description = files(build(weights))
    with pytest.raises(BadFileError, match=r"cannot be read as a prototxt: No such file"):
        read_caffe(model, description.with_name("no"))
    with pytest.raises(BadFileError, match=r"cannot be read as a caffemodel: No such file"):
        read_caffe(model.with_name("no"), description)
    monkeypatch.setattr(caffe, "LARGEST_MODEL", 10)
    with pytest.raises(BadFileError, match=r"1 to 10 bytes were wanted, not \d+"):
        read_caffe(model, description)
    monkeypatch.setattr(caffe, "LARGEST_TEXT", 10)
    with pytest.raises(BadFileError, match=r"at most 10 bytes of text were wanted"):
        read_caffe(model, description)


def test_a_description_that_is_no_text_is_refused(files, weights):
    model, description = files(build(weights))
    description.write_bytes(b"\xff")
    with pytest.raises(BadFileError, match=r"a.prototxt: is no text in UTF-8"):
        read_caffe(model, description)
