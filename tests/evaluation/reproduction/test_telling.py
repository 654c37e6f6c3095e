import json
from dataclasses import replace

from modelseal.enums import ChannelOrder
from modelseal.research.reproduction import document


def test_the_document_says_all_that_was_found_in_finite_numbers(found):
    told = document(found, order=ChannelOrder.RGB, device="cpu")
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["sanity"]["attack_success"] == found.sanity.attack_success
    assert told["settings"]["legacy"]["threshold"] is None
    assert told["settings"]["trials"] == 20
    assert (told["channel_order"], told["experiment"]) == ("rgb", "vgg-face")
    for outcome in found.outcomes:
        own = told["methods"][outcome.method]
        assert own["samples"] == len(own["each"]) == len(outcome.made)
        assert own["noticed"] == sum(each["noticed"] for each in own["each"])
        assert own["success"]["manc"] == list(outcome.success.manc)
        files = {told["images"][each["image"]] for each in own["each"]}
        assert files <= set(found.files)
    assert told["methods"]["natural"]["each"][0]["psnr"] is None


def test_a_method_without_a_rate_has_none(found):
    nothing = replace(found, outcomes=(replace(found.outcomes[0], success=None),))
    told = document(nothing, order=ChannelOrder.BGR, device="cuda")
    assert told["methods"]["natural"]["success"] is None
