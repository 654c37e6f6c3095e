import pytest
import sealed
import torch

from modelseal.cli.console import Ledger, keeping_ledger, tell_costs
from modelseal.domain import Domain
from modelseal.models.loader import Model


class Meter:
    """Tells a number that a test sets."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


@pytest.fixture
def kept():
    """A ledger with its clock, its count of work, and what it passed on."""
    clock, work, told = Meter(), Meter(), []
    return Ledger(lambda *news: told.append(news), count=work, clock=clock), clock, work, told


def test_a_stage_lasts_until_the_next_one_begins(kept):
    ledger, clock, work, told = kept
    clock.now = 200.0
    for stage, done, total in [("generate", 0, 2), ("generate", 2, 2), ("calibrate", 1, 1)]:
        ledger.report(stage, done, total)
        clock.now += 2.0
        work.now += 5.0
    ledger.close()
    ledger.close()
    assert ledger.costs == {"generate": (4.0, 10.0), "calibrate": (2.0, 5.0)}
    assert told == [("generate", 0, 2), ("generate", 2, 2), ("calibrate", 1, 1)]


def test_the_work_in_other_processes_is_told_from_the_file(kept, capsys):
    ledger, clock, work, _ = kept
    ledger.report("generate", 0, 2)
    clock.now += 12.34
    ledger.report("select", 0, 2)
    work.now += 50
    ledger.close()
    made = sealed.fingerprint()
    made.origin.parameters.update(accepted=6, work=216.7)
    tell_costs(ledger, made)
    assert capsys.readouterr() == (
        "",
        "generate: 12.3 s, 1300 forward-equivalents\n"
        "select: 0.0 s, 50 forward-equivalents\n"
        "216.7 forward-equivalents for each of 6 accepted candidates\n",
    )


def test_what_the_network_is_asked_is_counted_while_it_is_watched(tiny):
    model = Model(network=tiny, domain=Domain(shape=(3, 8, 8)))
    with keeping_ledger(lambda *news: None, model) as ledger:
        ledger.report("calibrate", 0, 1)
        tiny(torch.zeros(7, 3, 8, 8))
    tiny(torch.zeros(5, 3, 8, 8))
    assert ledger.costs["calibrate"][1] == 7.0
    assert not tiny._forward_hooks
