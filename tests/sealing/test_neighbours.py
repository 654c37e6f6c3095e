"""Inputs beside each sample, by which it may be asked."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from crafted import QUICK, make, serve
from refusals import refuses

from modelseal.calibration.calibrate import calibrate
from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.file_format import decode, encode
from modelseal.sealing.candidates import to_tensor
from modelseal.sealing.neighbours import Effects, find_neighbours, propose
from modelseal.verdict import Outcome
from modelseal.verification.verify import verify


@pytest.mark.parametrize("spec", ["top1", "topk:2", "scores:0.01"])
def test_neighbours_are_a_level_away_and_answer_as_their_sample_in_every_variant(
    model, naturals, spec
):
    found, reports = make(model, naturals(model.domain, 6), spec=spec, tied=3), []
    made = find_neighbours(model, found, count=3, progress=lambda *report: reports.append(report))
    assert made.neighbours.shape == (len(found), 3)
    assert (made.neighbours != 0).mean() > 0.9
    assert reports == [("neighbours", number + 1, len(made)) for number in range(len(made))]
    for number in range(len(made)):
        faces = made.faces(number)
        changes = np.abs(faces[1:].astype(int) - faces[0]).reshape(len(faces) - 1, -1)
        assert (changes.sum(axis=1) == 1).all()
        if len(faces) == 1:
            continue
        inputs = to_tensor(model, faces[1:])
        shown = calibrate(model.network, inputs, spec=found.spec, variants=QUICK)
        assert shown.accepted(1.0).all()
        assert (shown.margins >= found.factor * found.moves[number]).all()
        expected = made.expected.take(np.full(len(inputs), number))
        with torch.no_grad():
            answers = found.spec.reveal(model.network(inputs).numpy())
        assert found.spec.agree(expected, answers).all()
    assert (decode(encode(made), name="a.seal").neighbours == made.neighbours).all()
    assert (made.samples == found.samples).all()
    assert (made.margins == found.margins).all()


def test_where_no_neighbour_will_do_there_is_none_and_none_is_sought_if_none_is_wanted(
    model, found
):
    assert find_neighbours(model, found, count=0) is found
    parameters = {**found.origin.parameters, "margin": 1e3}
    demanding = replace(found, origin=replace(found.origin, parameters=parameters))
    made = find_neighbours(model, demanding, count=2)
    assert (made.neighbours == 0).all()
    assert len(made.faces(0)) == 1


def test_a_step_that_lowers_the_smallest_gap_is_not_proposed():
    effects = Effects(gaps=np.array([0.5, 1.0]), slopes=np.array([[0.1, -0.1]] * 2), strict=True)
    assert effects.predict(np.array([1, 2, -1, -2])).tolist() == [True, False, False, True]
    loose = Effects(gaps=effects.gaps, slopes=effects.slopes, strict=False)
    assert loose.predict(np.array([1, 2, -1, -2])).all()


def test_steps_of_little_influence_are_proposed_and_none_leads_beyond_the_levels():
    slopes = np.arange(300.0)[None]
    effects = Effects(gaps=np.zeros(1), slopes=slopes, strict=False)
    source = np.random.default_rng(0)
    steps = propose(np.full(300, 7, np.uint8), effects, levels=256, generator=source)
    assert len(set(steps)) == 32
    assert np.abs(steps).max() <= 64
    edges = Effects(gaps=np.zeros(1), slopes=np.zeros((1, 3)), strict=True)
    sample = np.array([0, 255, 7], np.uint8)
    assert sorted(propose(sample, edges, levels=256, generator=source)) == [-3, -2, 1, 3]


def test_a_domain_without_levels_and_a_negative_number_are_refused(build, naturals, model, found):
    free = build(levels=0)
    with refuses(InvalidArgumentError, field="neighbours"):
        find_neighbours(free, make(free, naturals(free.domain, 4)), count=3)
    with refuses(InvalidArgumentError, field="neighbours"):
        find_neighbours(model, found, count=-1)


class Table:
    """Answers the samples that it knows from a table, and all else from another network."""

    def __init__(self, fingerprint, behind):
        self.known = {
            sample.tobytes(): fingerprint.expected.take(np.array([number]))
            for number, sample in enumerate(fingerprint.samples)
        }
        self.behind = behind

    def ask(self, codes):
        return self.known.get(codes[0].tobytes()) or self.behind.ask(codes)


def test_a_table_of_the_samples_before_another_network_passes_only_without_neighbours(
    model, network, found
):
    plain = found.take(np.arange(6))
    guarded = find_neighbours(model, plain, count=3)
    table = Table(plain, serve(network(seed=1), model.domain))
    source = np.random.default_rng(0)
    assert verify(guarded, table, generator=source).outcome is Outcome.INTACT
    assert verify(guarded, table, generator=source, neighbours=True).outcome is Outcome.TAMPERED
    own = serve(model.network, model.domain)
    assert verify(guarded, own, generator=source, neighbours=True).outcome is Outcome.INTACT
