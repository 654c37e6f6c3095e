import pytest

from modelseal.errors import BadFileError
from modelseal.models.model_toml import list_model_files, read_declaration

SMALLEST = """
[model]
factory = "net:make"
weights = "w.safetensors"
[input]
shape = [3, 8, 8]
"""


def written(folder, text):
    file = folder / "model.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_the_smallest_file_gets_the_usual_values(tmp_path):
    shown = read_declaration(written(tmp_path, SMALLEST))
    assert (shown.model.factory, shown.model.weights) == ("net:make", "w.safetensors")
    assert (shown.input.bounds, shown.input.levels, shown.input.mean) == ([0.0, 1.0], 256, None)
    assert shown.output.classes is None


def test_every_key_is_read(tmp_path):
    text = """
    [model]
    factory = "net:make"
    weights = "w.pt"
    [model.arguments]
    depth = 20
    [input]
    shape = [3, 8, 8]
    bounds = [-1, 1]
    levels = 0
    mean = [0.5]
    std = [1, 2, 3]
    [output]
    classes = "names.txt"
    """
    shown = read_declaration(written(tmp_path, text))
    assert shown.model.arguments == {"depth": 20}
    assert (shown.input.bounds, shown.input.levels) == ([-1.0, 1.0], 0)
    assert (shown.input.mean, shown.input.std) == ([0.5], [1.0, 2.0, 3.0])
    assert shown.output.classes == "names.txt"


PROGRAM = '[model]\nprogram = "p.pt2"\n[input]\nshape = [3]\n'


@pytest.mark.parametrize(
    ("text", "field", "problem"),
    [
        (SMALLEST.replace("weights", "wieghts"), "model.wieghts", "factory, program, weights, arg"),
        (SMALLEST.replace("[input]", "[inptu]"), "inptu", "expected one of model, input, output"),
        (SMALLEST + "[other]\n", "other", "unknown key, expected one of model, input, output"),
        (
            SMALLEST.replace("shape =", "shap ="),
            "input.shap",
            "one of shape, bounds, levels, resize",
        ),
        (SMALLEST.replace("shape = [3, 8, 8]", ""), "input.shape", "is missing"),
        ("", "model", "is missing"),
        ("model = 3\n[input]\nshape = [1]", "model", "expected a valid dictionary.*got 3"),
        (SMALLEST.replace("[3, 8, 8]", '[3, "8", 8]'), "input.shape[1]", "integer, got '8'"),
        (SMALLEST.replace("[3, 8, 8]", "[3, true]"), "input.shape[1]", "integer, got True"),
        (SMALLEST.replace("[3, 8, 8]", "[3.0]"), "input.shape[0]", "integer, got 3.0"),
        (SMALLEST.replace("[3, 8, 8]", "3"), "input.shape", "list, got 3"),
        (SMALLEST + "mean = [nan]\nstd = [1]", "input.mean[0]", "finite number, got nan"),
        (SMALLEST + "bounds = [0]", "input", "bounds needs two numbers, but has 1"),
        (SMALLEST + "resize = [8]", "input", "resize needs a height and a width, but has 1 num"),
        (SMALLEST + "crop = [8, 8, 8]", "input", "crop needs a height and a width, but has 3"),
        (
            SMALLEST + 'filter = "box"',
            "input.filter",
            "expected 'bilinear' or 'bicubic', got 'box'",
        ),
        (SMALLEST + "mean = [0]", "input", "mean and std are needed together"),
        (SMALLEST + "std = [1]", "input", "mean and std are needed together"),
        (SMALLEST + "mean = [0, 0]\nstd = [1]", "input", "mean needs one number.*but has 2"),
        (SMALLEST + "mean = [0]\nstd = []", "input", "std needs one number.*but has 0"),
        (SMALLEST.replace('factory = "net:make"', ""), "model", "either factory or program"),
        (
            SMALLEST.replace("[input]", 'program = "p.pt2"\n[input]'),
            "model",
            "either factory or program",
        ),
        (SMALLEST.replace('weights = "w.safetensors"', ""), "model", "weights is needed beside"),
        (SMALLEST.replace("net:make", "transformers:vit"), "model", "brings its own weights"),
        (PROGRAM + "[model.arguments]\na = 1\n", "model", "arguments is for a factory"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_the_path_of_its_key(tmp_path, text, field, problem):
    file = written(tmp_path, text)
    with pytest.raises(BadFileError, match=problem) as caught:
        read_declaration(file)
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{file}: {field}: ")
    assert "\n" not in str(caught.value)


def test_a_program_needs_no_weights(tmp_path):
    shown = read_declaration(written(tmp_path, PROGRAM))
    assert (shown.model.program, shown.model.weights) == ("p.pt2", None)


@pytest.mark.parametrize(
    ("change", "weighing"),
    [("timm:x", "model.weights"), ("transformers:vit", "model.factory"), (None, "model.program")],
)
def test_the_key_that_says_where_the_weights_are_is_known(tmp_path, change, weighing):
    text = SMALLEST.replace("net:make", change) if change else PROGRAM
    if weighing == "model.factory":
        text = text.replace('weights = "w.safetensors"', "")
    assert read_declaration(written(tmp_path, text)).model.weighing == weighing


def test_a_library_reads_no_module_beside_the_file_but_a_checkpoint_reads_its_folder(tmp_path):
    listed = set(list_model_files(written(tmp_path, SMALLEST.replace("net:make", "timm:x"))))
    assert listed == {tmp_path / "model.toml", tmp_path / "w.safetensors"}
    folder = tmp_path / "vit"
    folder.mkdir()
    names = ["a-1.safetensors", "model.safetensors.index.json", "config.json"]
    for name in (*names, "notes.txt"):
        (folder / name).touch()
    text = '[model]\nfactory = "transformers:vit"\n[input]\nshape = [3]\n'
    listed = set(list_model_files(written(tmp_path, text)))
    assert listed == {tmp_path / "model.toml", *(folder / name for name in names)}


def test_a_missing_file_is_said(tmp_path):
    with pytest.raises(BadFileError, match=r"none\.toml: cannot be read: No such file"):
        read_declaration(tmp_path / "none.toml")


@pytest.mark.parametrize("content", [b"[model", b"\xff\xfe"])
def test_what_is_no_toml_is_said(tmp_path, content):
    (tmp_path / "model.toml").write_bytes(content)
    with pytest.raises(BadFileError, match="expected TOML"):
        read_declaration(tmp_path / "model.toml")


@pytest.mark.parametrize(
    ("text", "files"),
    [
        (
            '[model]\nfactory = "a.b:make"\nweights = "in/w.pt"\n'
            '[input]\nshape = [1]\n[output]\nclasses = "names.txt"\n',
            {"m.toml", "in/w.pt", "names.txt", "a/b.py", "a/b/__init__.py"},
        ),
        ('[model]\nprogram = "p.pt2"\n[input]\nshape = [1]\n', {"m.toml", "p.pt2"}),
    ],
)
def test_every_file_that_is_read_is_listed(tmp_path, text, files):
    (tmp_path / "m.toml").write_text(text, encoding="utf-8")
    assert set(list_model_files(tmp_path / "m.toml")) == {tmp_path / file for file in files}
