import json

import pytest


@pytest.fixture
def place(seal_file, folder, run):
    """Makes a folder in which nothing is left but a commitment and a bundle."""

    def build(*, wrong=(), lines=None):
        seal_file(count=6, wrong=wrong)
        if lines is not None:
            text = "\n".join(json.dumps(line) for line in lines)
            (folder / "answers.jsonl").write_text(text)
        assert run("commit", "out.seal", "-o", "c.json").exit_code == 0
        assert run("reveal", "out.seal", "answers.jsonl", "-o", "b.json").exit_code == 0
        for name in ("out.seal", "out.seal.salts", "answers.jsonl"):
            (folder / name).unlink()
        return folder

    return build


def test_an_intact_model_is_found_intact_again(place, run):
    place()
    result = run("recheck", "b.json", "--commitment", "c.json")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.startswith("INTACT: 6 of 6 revealed samples, of 6 sealed ones, answered")


def test_a_tampered_model_is_found_tampered_again(place, run):
    place(wrong=[3])
    result = run("recheck", "b.json", "--commitment", "c.json", "--json", "-")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["schema"] == "modelseal.recheck/1"
    assert (document["outcome"], document["differs"], document["asked"]) == ("tampered", 1, 6)
    assert (document["bundle"], document["commitment"]) == ("b.json", "c.json")


def test_an_answer_that_is_missing_is_undecided_again(place, run):
    place(lines=[{"sample": 2, "error": "no answer came"}])
    result = run("recheck", "b.json", "--commitment", "c.json")
    assert (result.exit_code, result.stdout.split(":")[0]) == (3, "UNDECIDED")


def test_without_the_commitment_a_warning_comes(place, run):
    place()
    result = run("recheck", "b.json")
    assert result.exit_code == 0
    assert "without --commitment anybody could have made this bundle" in result.stderr


def test_the_bundle_of_another_commitment_is_refused(place, run):
    folder = place()
    (folder / "c.json").rename(folder / "first.json")
    place()
    result = run("recheck", "b.json", "--commitment", "first.json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "another commitment than the public one is in it" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["missing.json"], "missing.json: cannot be read"),
        (["c.json", "--commitment", "c.json"], "c.json: "),
        (["b.json", "--commitment", "b.json"], "b.json: "),
        (["changed.json", "--commitment", "c.json"], "changed.json: a signature by the commitm"),
        (["b.json", "--json", "b.json"], "this one is read as well"),
    ],
)
def test_what_proves_nothing_is_refused(place, run, arguments, problem):
    folder = place()
    text = (folder / "b.json").read_text().replace('"error":null', '"error":"none"', 1)
    (folder / "changed.json").write_text(text)
    result = run("recheck", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr
