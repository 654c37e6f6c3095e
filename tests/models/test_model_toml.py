import pytest
from refusals import refuses

from modelseal.errors import BadFileError
from modelseal.models.model_toml import model_files, read_model_toml

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
    shown = read_model_toml(written(tmp_path, text))
    assert shown.model.arguments == {"depth": 20}
    assert (shown.input.bounds, shown.input.levels) == ([-1.0, 1.0], 0)
    assert (shown.input.mean, shown.input.std) == ([0.5], [1.0, 2.0, 3.0])
    assert shown.output.classes == "names.txt"


PROGRAM = '[model]\nprogram = "p.pt2"\n[input]\nshape = [3]\n'


@pytest.mark.parametrize(
    ("text", "field"),
    [
        (SMALLEST.replace("weights", "wieghts"), "model.wieghts"),
        (SMALLEST.replace("[input]", "[inptu]"), "inptu"),
        (SMALLEST + "[other]\n", "other"),
        (SMALLEST.replace("shape =", "shap ="), "input.shap"),
        (SMALLEST.replace("shape = [3, 8, 8]", ""), "input.shape"),
        ("", "model"),
        ("model = 3\n[input]\nshape = [1]", "model"),
        (SMALLEST.replace("[3, 8, 8]", '[3, "8", 8]'), "input.shape[1]"),
        (SMALLEST.replace("[3, 8, 8]", "[3, true]"), "input.shape[1]"),
        (SMALLEST.replace("[3, 8, 8]", "[3.0]"), "input.shape[0]"),
        (SMALLEST.replace("[3, 8, 8]", "3"), "input.shape"),
        (SMALLEST + "mean = [nan]\nstd = [1]", "input.mean[0]"),
        (SMALLEST + "bounds = [0]", "input.bounds"),
        (SMALLEST + "resize = [8]", "input.resize"),
        (SMALLEST + "crop = [8, 8, 8]", "input.crop"),
        (SMALLEST + 'filter = "box"', "input.filter"),
        (SMALLEST + "mean = [0]", "input"),
        (SMALLEST + "std = [1]", "input"),
        (SMALLEST + "mean = [0, 0]\nstd = [1]", "input"),
        (SMALLEST + "mean = [0]\nstd = []", "input"),
        (SMALLEST.replace('factory = "net:make"', ""), "model"),
        (SMALLEST.replace("[input]", 'program = "p.pt2"\n[input]'), "model"),
        (SMALLEST.replace('weights = "w.safetensors"', ""), "model"),
        (SMALLEST.replace("net:make", "transformers:vit"), "model"),
        (PROGRAM + "[model.arguments]\na = 1\n", "model"),
    ],
)
def test_what_is_wrong_is_one_sentence_with_the_path_of_its_key(tmp_path, text, field):
    file = written(tmp_path, text)
    with refuses(BadFileError, field=field, file=file):
        read_model_toml(file)


def test_a_library_reads_no_module_beside_the_file_but_a_checkpoint_reads_its_folder(tmp_path):
    listed = set(model_files(written(tmp_path, SMALLEST.replace("net:make", "timm:x"))))
    assert listed == {tmp_path / "model.toml", tmp_path / "w.safetensors"}
    folder = tmp_path / "vit"
    folder.mkdir()
    names = ["a-1.safetensors", "model.safetensors.index.json", "config.json"]
    for name in (*names, "notes.txt"):
        (folder / name).touch()
    text = '[model]\nfactory = "transformers:vit"\n[input]\nshape = [3]\n'
    listed = set(model_files(written(tmp_path, text)))
    assert listed == {tmp_path / "model.toml", *(folder / name for name in names)}


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
    assert set(model_files(tmp_path / "m.toml")) == {tmp_path / file for file in files}
