from collections import Counter

import torch

from modelseal.calibration.transport import Form, Sent
from modelseal.calibration.variants import (
    BatchSize,
    Variant,
    all_variants,
    every_position,
    fp32_variants,
)
from modelseal.domain import Domain

DOMAIN = Domain(shape=(3, 8, 8))


def test_every_input_stands_at_every_position_of_three_batch_sizes():
    """That each offset is another position is shown where inputs are turned."""
    turns = {(one.size, one.offset) for one in every_position()} | {(32, 0)}
    assert turns == {(size, offset) for size in (2, 7, 32) for offset in range(size)}
    assert BatchSize(32, 0) not in every_position()


def test_all_variants_are_those_of_sealing_and_more_each_once(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    names = [one.name for one in all_variants(DOMAIN)]
    plain = [one.name for one in fp32_variants()]
    assert names[: len(plain)] == plain
    assert max(Counter(names).values()) == 1
    more = {*names} - {*plain}
    assert {one.name for one in every_position()} <= {*names}
    sent = {"sent-as-png", "sent-as-json", "sent-as-bytes"}
    assert more - {one.name for one in every_position()} == {"restarted", "on-cuda"} | sent


def test_all_variants_can_be_called_and_know_the_domain():
    listed = all_variants(DOMAIN)
    assert all(isinstance(one, Variant) for one in listed)
    assert [one for one in listed if isinstance(one, Sent)] == [Sent(form, DOMAIN) for form in Form]
