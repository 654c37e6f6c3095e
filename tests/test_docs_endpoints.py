"""Every endpoint.toml of the documents is read by the real parser, and the command answers."""

import re
import shutil
import sys
from pathlib import Path

import certifi
import numpy as np
import pytest
import sealed

from modelseal.domain import Domain
from modelseal.endpoints.endpoint_toml import PRESETS
from modelseal.endpoints.factory import endpoint
from modelseal.verification.natural_images import find_naturals

DOCS = Path(__file__).resolve().parents[1] / "docs"
PAGES = ("how-to/ask-other-services.md", "reference/endpoint-toml.md")
PAGE = "".join((DOCS / page).read_text("utf-8") for page in PAGES)
DOMAIN = Domain(shape=(3, 32, 32))
SERVED = sealed.fingerprint(domain=DOMAIN, classes=3, names=("cat", "dog", "elk"))


def blocks(language):
    """The fenced blocks of a language on the page."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A folder with all that the page's files name, and the environment."""
    monkeypatch.setenv("MODELSEAL_TOKEN", "Bearer abcd")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    (tmp_path / "names.txt").write_text("cat\ndog\nelk\n")
    (tmp_path / "token.txt").write_text("abcd\n")
    shutil.copyfile(certifi.where(), tmp_path / "ca.pem")
    images = np.zeros((4, 32, 32, 3), np.uint8)
    np.savez(tmp_path / "few.npz", images=images, labels=np.array([0, 1, 2, 0]))
    return tmp_path


def declare(place, block):
    path = place / "endpoint.toml"
    path.write_text(block, encoding="utf-8")
    return endpoint(path, SERVED)


@pytest.mark.parametrize("block", blocks("toml"))
def test_every_file_on_the_page_declares_an_endpoint(block, place):
    opened = declare(place, block)
    assert callable(opened.ask)
    made = sealed.fingerprint(domain=DOMAIN, classes=3)
    natural = find_naturals(str(place / "endpoint.toml"), made, file=None)
    assert (natural is not None) is ("[check]" in block)


def test_the_page_has_a_file_for_every_preset_and_every_kind():
    text = "\n".join(blocks("toml")) + PAGE
    assert set(PRESETS) <= set(re.findall(r'preset = "([^"]+)"', text))
    assert set(re.findall(r'kind = "([^"]+)"', text)) >= {
        "http",
        "oip",
        "grpc",
        "sagemaker",
        "command",
    }


def test_the_page_says_every_key_and_every_word():
    from modelseal.endpoints.endpoint_toml import (
        AnswerSection,
        CheckSection,
        EndpointSection,
        RequestSection,
    )

    for section in (AnswerSection, CheckSection, EndpointSection, RequestSection):
        for key in section.model_fields:
            assert f"`{key}`" in PAGE, key


def test_the_program_on_the_page_answers(place):
    program, _ = blocks("python")
    (place / "client.py").write_text(program)
    (block,) = [block for block in blocks("toml") if 'kind = "command"' in block]
    opened = declare(place, block.replace("python3", sys.executable))
    shown = opened.ask(np.zeros((2, *DOMAIN.shape), np.uint8))
    assert shown.values.tolist() == [[0.0, 1.0, 0.0]] * 2
    opened.close()
