import pytest
import torch
from torch.nn.functional import log_softmax

from modelseal.errors import InvalidArgumentError, NotAppliedError
from modelseal.runtime.inference import copy_network
from modelseal.tampering.base import all_weights
from modelseal.tampering.fine_tuning import Distilled
from modelseal.tampering.training import Schedule, Scope, ready, start_afresh

SHORT = Schedule(learning_rate=0.01, epochs=4, drops=(1, 2, 3), batch=50)


def agreement(first, second, inputs):
    return float((first(inputs).argmax(1) == second(inputs).argmax(1)).double().mean())


def test_a_student_shares_no_weight_with_its_teacher_and_agrees_with_it(reader, digits):
    (images, _), (test, _) = digits
    recipe = Distilled(inputs=images, schedule=SHORT)
    student = recipe(reader)
    assert agreement(student, reader, test) > 0.8
    before, after = all_weights(reader), all_weights(student)
    for name in ("0.weight", "3.weight", "7.weight", "4.running_mean"):
        assert bool((before[name] != after[name]).all())
        both = torch.stack([before[name].flatten(), after[name].flatten()])
        assert torch.corrcoef(both)[0, 1] < 0.7
    assert repr(recipe) == (
        "Distilled(schedule=Schedule(learning_rate=0.01, epochs=4, drops=(1, 2, 3), factor=0.2, "
        "batch=50), seed=0)"
    )


def test_the_same_seed_gives_the_same_student_and_another_another(reader, digits):
    (images, _), _ = digits
    first, again, other = (
        Distilled(inputs=images, schedule=SHORT, seed=seed)(reader) for seed in (3, 3, 4)
    )
    assert torch.equal(first[7].weight, again[7].weight)
    assert not torch.equal(first[7].weight, other[7].weight)


def test_one_step_of_a_student_is_that_of_adam_on_the_teachers_probabilities(reader, digits):
    (images, _), _ = digits
    once = Schedule(learning_rate=0.05, epochs=1, drops=(), batch=600)
    student = Distilled(inputs=images, schedule=once, seed=1)(reader)
    wanted = copy_network(reader)
    probabilities = reader(images).softmax(1)
    start_afresh(wanted, 1)
    optimiser = torch.optim.Adam(ready(wanted, Scope.ALL), lr=0.05)
    (-(probabilities * log_softmax(wanted(images), 1)).sum(1).mean()).backward()
    optimiser.step()
    # The order in which inputs are summed up is another.
    difference = (student[7].weight - wanted[7].weight.detach()).abs()
    assert float(difference.quantile(0.99)) < 1e-3


def test_a_student_that_learned_nothing_is_not_applied(reader, digits):
    (images, _), _ = digits
    recipe = Distilled(inputs=images, schedule=Schedule(learning_rate=1e-9, epochs=1))
    with pytest.raises(NotAppliedError):
        recipe(reader)


def test_a_student_needs_inputs():
    with pytest.raises(InvalidArgumentError):
        Distilled(inputs=torch.zeros(0, 1, 8, 8))
