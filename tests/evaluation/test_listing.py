import planned
import pytest

from modelseal.errors import BadFileError
from modelseal.evaluation.inputs import list_networks, open_network
from modelseal.evaluation.plan import read_plan
from modelseal.evaluation.results import Subject, alarms_file, set_file, trial_file
from modelseal.evaluation.runner import list_harmless, list_samples, list_trials, list_wanted

SECOND = '\n[[grids]]\nmethods = ["legacy"]\ntamperings = ["ftll", "prune"]\nseeds = 3'


@pytest.fixture
def listed(tmp_path):
    """A plan, the files of its networks, and all its changed networks."""

    def build(*changes):
        path = planned.write_plan(tmp_path, *changes)
        plan = read_plan(path)
        networks = list_networks(plan, tmp_path)
        opened = {name: open_network(files) for name, files in networks.items()}
        return plan, networks, list_wanted(plan, networks, opened, file=path)

    return build


def touch(file):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.touch()


def subject(method):
    return Subject(network="small", method=method, spec="top1")


def spots(wanted):
    return [(each.spot.name, each.spot.level, each.spot.seed) for each in wanted]


def test_a_change_is_made_for_every_seed_unless_it_is_fixed(listed):
    _, _, wanted = listed()
    assert spots(wanted) == [("quantisation", None, 0), ("ftll", None, 0), ("ftll", None, 1)]
    assert {len(each.subjects) for each in wanted} == {2}


def test_two_grids_share_the_changed_networks_that_both_want(listed):
    _, _, wanted = listed(("seeds = 2", "seeds = 2" + SECOND))
    found = dict(zip(spots(wanted), wanted, strict=True))
    assert len(found) == len(wanted) == 3 + 1 + 12
    methods = [each.method for each in found["ftll", None, 1].subjects]
    assert methods == ["boundary", "natural", "legacy"]
    assert [each.method for each in found["ftll", None, 2].subjects] == ["legacy"]
    assert found["prune", 2.0**-12, 0].spot.source == "prune"


def test_a_change_that_the_catalogue_lacks_is_named_with_its_grid(listed):
    with pytest.raises(BadFileError, match=r"plan.toml: grids\[0\].tamperings: .*, not 'magic'"):
        listed(('"ftll"', '"magic"'))


def test_only_samples_that_are_missing_are_made_and_slow_methods_come_first(listed, tmp_path):
    plan, networks, _ = listed(('"natural"]', '"natural", "legacy", "ascent:float"]'))
    tasks = list_samples(plan, networks, tmp_path)
    methods = [task.subject.method for task in tasks]
    assert methods == ["legacy", "ascent:float", "boundary", "natural"]
    touch(set_file(tmp_path, subject("legacy")))
    assert len(list_samples(plan, networks, tmp_path)) == 3


def test_only_samples_that_are_there_are_asked_in_harmless_ways_and_once(listed, tmp_path):
    plan, networks, _ = listed()
    assert list_harmless(plan, networks, tmp_path) == []
    for method in ("boundary", "natural"):
        touch(set_file(tmp_path, subject(method)))
    touch(alarms_file(tmp_path, subject("natural")))
    (task,) = list_harmless(plan, networks, tmp_path)
    assert (task.subject, task.variants) == (subject("boundary"), ("nnpack", "float64"))
    assert str(task) == "harmless variants of boundary for small, top1"


def test_only_trials_that_are_missing_are_made_and_slow_changes_come_first(listed, tmp_path):
    _, _, wanted = listed()
    assert list_trials(wanted, tmp_path) == []
    for method in ("boundary", "natural"):
        touch(set_file(tmp_path, subject(method)))
    touch(trial_file(tmp_path, subject("natural"), name="ftll", level=None, seed=1))
    tasks = list_trials(wanted, tmp_path)
    assert [(task.spot.name, task.spot.seed, len(task.subjects)) for task in tasks] == [
        ("ftll", 0, 2),
        ("ftll", 1, 1),
        ("quantisation", 0, 2),
    ]
    assert str(tasks[1]) == "trial of small under ftll, seed 1"
