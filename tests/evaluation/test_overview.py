from evaluated import samples, trial

from modelseal.evaluation.metrics import count_misses, detect, oversee
from modelseal.evaluation.responses import gather

TRIALS = [
    trial("1110"),
    trial("1111", seed=1),
    trial("0100", name="ftll"),
    trial("0000", name="noise", level=0.5),
]


def look(**settings):
    found = gather(samples(picks={"manc": ((0, 1), (2, 3)), "random": ((0,),)}), TRIALS)
    missed = [*count_misses(found, "manc", samples=1), *count_misses(found, "random", samples=1)]
    return oversee("boundary", detect(found), missed, **settings)


def test_a_method_is_summed_up_over_its_rows_without_levels_each_counting_the_same():
    found = look()
    assert (found.changes, found.mean) == (2, (7 / 8 + 1 / 4) / 2)
    assert (found.worst, found.worst_change) == (0.25, "ftll")
    assert (found.missed, found.sets) == ({"manc": 2, "random": 1}, {"manc": 6, "random": 3})


def test_only_the_rows_that_are_asked_for_count():
    found = look(changes=("ftal", "rtal"))
    assert (found.changes, found.mean, found.missed["manc"]) == (1, 7 / 8, 0)


def test_a_method_without_rows_is_not_summed_up():
    assert look(changes=()) is None
    assert oversee("natural", (), ()) is None
