import jmespath
import pytest

from modelseal.domain import Domain
from modelseal.endpoints.encoding import Sending
from modelseal.endpoints.endpoint_toml import ENDINGS, PRESETS, preset_of
from modelseal.endpoints.template import Template


@pytest.mark.parametrize("preset", PRESETS.values(), ids=PRESETS)
def test_every_preset_sends_a_whole_batch_and_says_where_the_answer_stands(preset):
    sending = Sending(domain=Domain(shape=(1, 2, 2)))
    assert Template(sending=sending, text=preset.template).size == 0
    assert jmespath.compile(preset.select)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/models/m:predict", "kserve-v1"),
        ("/invocations", "mlflow"),
        ("/prefix/invocations", "mlflow"),
        ("/v2/models/m", ""),
        ("/v1/models/m:explain", ""),
        ("/invocations/", ""),
        ("", ""),
    ],
)
def test_the_ending_of_a_path_names_the_preset(path, name):
    assert preset_of(path) == name


def test_every_ending_names_a_preset_that_there_is():
    assert set(ENDINGS.values()) <= set(PRESETS)
