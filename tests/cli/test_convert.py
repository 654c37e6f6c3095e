import numpy as np
import pytest
from caffe_schema import Network, fill, text_of
from safetensors.numpy import load_file


@pytest.fixture
def caffe(folder):
    """A model of one inner product, with its description."""
    made = Network()
    layer = made.layers.add(name="fc8", type=14)
    layer.inner_product_param.num_output = 2
    fill(layer.blobs.add(), np.array([[1.5, 2, 3], [4, 5, 6]]), form="sizes")
    fill(layer.blobs.add(), np.array([7.0, 8]), form="sizes")
    (folder / "a.caffemodel").write_bytes(made.SerializeToString())
    (folder / "a.prototxt").write_text(text_of(made))


@pytest.mark.usefixtures("caffe")
def test_the_weights_are_written_by_the_names_of_torch(run):
    result = run("convert", "a.caffemodel", "a.prototxt", "-o", "a.safetensors")
    assert (result.exit_code, result.stdout) == (0, "a.safetensors: 2 tensors, 8 weights\n")
    read = load_file("a.safetensors")
    assert read["fc8.weight"].tolist() == [[1.5, 2, 3], [4, 5, 6]]
    assert read["fc8.bias"].tolist() == [7, 8]
    assert {each.dtype for each in read.values()} == {np.dtype(np.float32)}


@pytest.mark.usefixtures("caffe")
@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("a.prototxt", "a.prototxt", "-o", "b.safetensors"), "a.prototxt: cannot be read as a c"),
        (("a.caffemodel", "a.caffemodel", "-o", "b.safetensors"), "a.caffemodel: "),
        (("no", "a.prototxt", "-o", "b.safetensors"), "no: cannot be read as a caffemodel: No"),
        (("a.caffemodel", "a.prototxt", "-o", "b.pt"), "b.pt: expected a name that ends in"),
        (("a.caffemodel", "a.prototxt", "-o", "a.prototxt"), "a.prototxt: expected"),
        (("a.caffemodel", "a.prototxt", "-o", "no/b.safetensors"), "no/b.safetensors: cannot be"),
    ],
)
def test_bad_input_is_one_sentence_and_leaves_nothing_behind(run, folder, arguments, sentence):
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = run("convert", *arguments)
    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1
    assert {path: path.read_bytes() for path in folder.iterdir()} == before
