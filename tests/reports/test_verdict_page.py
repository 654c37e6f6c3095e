from html.parser import HTMLParser

import pytest
from recorded_verdicts import INTACT, TAMPERED, UNDECIDED, build_record

from modelseal.verification.verdict_page import write_verdict


class Reader(HTMLParser):
    """Collects tags with their attributes, text, and what is not closed."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.open, self.text = [], [], []
        self.feed(page.decode("utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text.append(" ".join(data.split()))

    def has(self, text):
        return any(text in each for each in self.text)


@pytest.mark.parametrize("findings", [INTACT, TAMPERED, UNDECIDED, ()])
def test_every_page_is_whole_needs_nothing_beside_it_and_has_no_script(findings):
    page = write_verdict(build_record(*findings))
    reader = Reader(page)
    assert reader.open == []
    for tag, attributes in reader.tags:
        assert tag not in {"script", "link", "iframe", "img", "object", "form", "a"}
        assert not set(attributes) & {"src", "srcset", "href", "action", "style"}
        assert not any(name.startswith("on") for name in attributes)
    assert not any(word in page for word in (b"url(", b"@import", b"javascript:"))


@pytest.mark.parametrize(
    ("findings", "outcome"), [(INTACT, "INTACT"), (TAMPERED, "TAMPERED"), (UNDECIDED, "UNDECIDED")]
)
def test_the_verdict_is_the_heading_and_its_reason_is_below(findings, outcome):
    reader = Reader(write_verdict(build_record(*findings)))
    assert outcome in reader.text
    assert "so it is" in reader.text
    assert ("body", {"class": outcome.lower()}) in reader.tags


def test_the_facts_are_told():
    reader = Reader(write_verdict(build_record(*TAMPERED, time="2026-11-26T08:09:10Z")))
    for fact in (
        "http://host/v2/models/m",
        "seals/out.seal",
        "sha256:" + "0123456789abcdef" * 4,
        "2026-11-26 08:09:10 UTC",
        "2 of 3 asked: 1 agree, 1 differ, 0 unclear",
    ):
        assert fact in reader.text


def test_only_an_intact_model_has_a_table_of_what_is_ruled_out():
    intact, tampered = (
        Reader(write_verdict(build_record(*findings))) for findings in (INTACT, TAMPERED)
    )
    assert "What the samples notice" in intact.text
    assert "2^-14 of each layer's spread" in intact.text
    assert "86.0 % or more" in intact.text
    assert "the only one" in intact.text
    assert "What the samples notice" not in tampered.text


def test_every_finding_is_in_the_table_of_evidence_and_what_was_not_asked_is_counted():
    reader = Reader(write_verdict(build_record(*TAMPERED, samples=9)))
    for cell in ("0", "1", "agrees", "differs", "cat", "dog", "7 more", "not asked"):
        assert cell in reader.text


def test_statistics_are_shown_if_there_are_any():
    plain = Reader(write_verdict(build_record(*INTACT)))
    rich = Reader(write_verdict(build_record(*INTACT, statistics={"e_value": 12.5, "alpha": 1e-6})))
    assert "Statistics" not in plain.text
    for cell in ("Statistics", "e value", "12.5", "alpha", "1e-06"):
        assert cell in rich.text


def test_the_command_that_asks_again_is_quoted_for_a_shell():
    record = build_record(*TAMPERED, fingerprint="my seals/$x.seal", endpoint="m.toml")
    assert Reader(write_verdict(record)).has("modelseal verify 'my seals/$x.seal' m.toml --all")


def test_foreign_text_stays_text():
    page = write_verdict(build_record(*TAMPERED, reason="<script>x</script> \x00 \ud800 & 猫"))
    assert r"<script>x</script> \x00 \ud800 & 猫" in Reader(page).text
    assert b"<script" not in page


def test_a_page_is_written_without_torch():
    import subprocess
    import sys

    program = "import modelseal.verification.verdict_page, sys; print('torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ended.stdout == "False\n"


def test_the_command_that_asks_again_names_a_declared_endpoint_by_its_file_alone():
    record = build_record(*INTACT)
    record["endpoint"] = "endpoint.toml (https://model.example/classify)"
    assert Reader(write_verdict(record)).has("modelseal verify seals/out.seal endpoint.toml --all")
