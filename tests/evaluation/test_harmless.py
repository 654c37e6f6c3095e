from math import inf

from evaluated import samples

from modelseal.evaluation.sample_quality import count_alarms, describe
from modelseal.intervals import BoundRule


def test_alarms_are_counted_by_variant_and_in_all_of_them():
    found = count_alarms(samples(alarms={"batch 1": 0, "threads 2": 1}))
    assert [(each.variant, each.alarms, each.answers) for each in found] == [
        ("batch 1", 0, 4),
        ("threads 2", 1, 4),
        ("", 1, 8),
    ]
    assert [each.bound.rule for each in found] == [
        BoundRule.THREE,
        BoundRule.CLOPPER_PEARSON,
        BoundRule.CLOPPER_PEARSON,
    ]


def test_without_variants_or_samples_nothing_is_said_of_alarms():
    none = samples(psnr=(), margins=(), moves=())
    assert count_alarms(samples(alarms={})) == count_alarms(none) == ()
    assert describe(none) is None


def test_quartiles_are_values_of_the_row_whatever_its_order():
    found = describe(samples(size=5, psnr=(50.0, 30.0, 40.0, 20.0, 10.0)))
    assert (found.psnr.low, found.psnr.median, found.psnr.high) == (20.0, 30.0, 40.0)
    assert (found.samples, found.work, found.margins) == (5, 100.0, (1e-3,) * 5)


def test_natural_images_have_an_infinite_psnr():
    assert describe(samples(psnr=(inf,) * 4)).psnr.median == inf
    assert describe(samples(psnr=(inf, inf, inf, 1.0))).psnr.low == 1.0
