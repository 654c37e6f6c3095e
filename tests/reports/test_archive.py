import json

import pytest
from refusals import refuses

from modelseal.errors import BadFileError
from modelseal.reports.build import dump, is_archive, load


def test_what_is_written_is_read_again_to_the_last_bit(whole, poor, tmp_path):
    file = tmp_path / "tables.json"
    file.write_bytes(dump((whole, *poor)))
    assert load(file) == (whole, *poor)
    assert dump(load(file)) == file.read_bytes()


def test_it_is_json_of_which_every_number_is_finite(whole, poor):
    def refuse(name):
        raise AssertionError(name)

    content = json.loads(dump((whole, *poor)), parse_constant=refuse)
    assert content["kind"] == "modelseal report"
    assert content["summaries"][0]["detections"][0]["share"]["whole"] == 24


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", ""),
        ("{", ""),
        ("[]", ""),
        ('{"kind": "another", "version": 1, "summaries": []}', "kind"),
        ('{"kind": "modelseal report", "version": 2, "summaries": []}', "version"),
        ('{"kind": "modelseal report", "summaries": [{}]}', "summaries.0.network"),
    ],
)
def test_another_file_is_refused_by_the_field_that_is_wrong(tmp_path, text, field):
    file = tmp_path / "tables.json"
    file.write_text(text)
    with refuses(BadFileError, field=field):
        load(file)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(BadFileError, match="cannot be read: No such file"):
        load(tmp_path / "tables.json")


@pytest.mark.parametrize(
    ("text", "known"),
    [
        ('{"kind": "modelseal report", "version": 9}', True),
        ('{"kind": "other"}', False),
        ("[1]", False),
        ("nothing", False),
        ("[" * 100_000, False),
    ],
)
def test_a_report_of_any_version_is_known_as_one(tmp_path, text, known):
    file = tmp_path / "tables.json"
    file.write_text(text)
    assert is_archive(file) is known
    assert not is_archive(tmp_path / "missing")
