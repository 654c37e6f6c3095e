import itertools

import pytest

from modelseal.errors import InvalidArgumentError
from modelseal.verdict import Evidence, Finding, Outcome, Statistics, Tally, Verdict, judge


def evidence_of(*findings):
    return tuple(
        Evidence(
            sample=number,
            finding=finding,
            expected="3",
            reason="no answer" if finding is Finding.UNCLEAR else "",
        )
        for number, finding in enumerate(findings)
    )


ALL_FINDINGS = [
    findings for count in range(4) for findings in itertools.product(Finding, repeat=count)
]


@pytest.mark.parametrize("samples", [0, 1, 2, 3])
@pytest.mark.parametrize("findings", ALL_FINDINGS, ids=lambda f: "-".join(x.value for x in f))
def test_intact_needs_every_sample_to_agree_and_tampered_one_to_differ(findings, samples):
    if Finding.DIFFERS in findings:
        wanted = Outcome.TAMPERED
    elif findings == (Finding.AGREES,) * samples and samples > 0:
        wanted = Outcome.INTACT
    else:
        wanted = Outcome.UNDECIDED
    assert judge(evidence_of(*findings), samples=samples) is wanted


@pytest.mark.parametrize("outcome", Outcome)
@pytest.mark.parametrize("findings", ALL_FINDINGS[1:], ids=lambda f: "-".join(x.value for x in f))
def test_a_verdict_that_its_evidence_does_not_support_cannot_be_made(findings, outcome):
    arguments = {"samples": 3, "evidence": evidence_of(*findings), "reason": "because"}
    supported = judge(arguments["evidence"], samples=3)
    if outcome is supported:
        assert Verdict(outcome=outcome, **arguments).outcome is outcome
    else:
        with pytest.raises(InvalidArgumentError):
            Verdict(outcome=outcome, **arguments)


@pytest.mark.parametrize("samples", [[0, 0], [2], [-1]])
def test_a_verdict_on_a_sample_twice_or_on_an_unknown_one_cannot_be_made(samples):
    evidence = tuple(Evidence(sample=n, finding=Finding.AGREES, expected="3") for n in samples)
    with pytest.raises(InvalidArgumentError):
        Verdict(outcome=Outcome.UNDECIDED, samples=2, evidence=evidence, reason="because")


def evidence(**changes):
    return Evidence(sample=0, expected="3", **changes)


def tallied(finding=Finding.AGREES, *, agrees=8, differs=0, unclear=0):
    return Evidence(
        sample=0,
        finding=finding,
        expected="3",
        reason="not settled" if finding is Finding.UNCLEAR else "",
        tally=Tally(agrees=agrees, differs=differs, unclear=unclear),
    )


def statistics(**changes):
    usual = {"e_value": 0.1, "bar": 200.0, "queries": 8, "look": None}
    return Statistics(**{**usual, "false_alarm_bound": 0.01, "missed_bound": 0.01, **changes})


def decided(outcome, entry, found):
    return Verdict(outcome=outcome, samples=1, evidence=(entry,), reason="why", statistics=found)


def test_a_test_and_its_samples_must_say_the_same():
    assert decided(Outcome.INTACT, tallied(), statistics()).statistics.p_value == 1.0
    proven = tallied(Finding.DIFFERS, agrees=1, differs=7)
    alarm = statistics(e_value=250.0)
    assert decided(Outcome.TAMPERED, proven, alarm).statistics.p_value == 1 / 250
    for outcome, entry, found in (
        (Outcome.TAMPERED, proven, statistics()),
        (Outcome.INTACT, tallied(), alarm),
        (Outcome.UNDECIDED, tallied(Finding.UNCLEAR), alarm),
        (Outcome.INTACT, tallied(), statistics(queries=9)),
    ):
        with pytest.raises(InvalidArgumentError):
            decided(outcome, entry, found)


def test_a_tally_counts_every_question():
    assert Tally(agrees=3, differs=2, unclear=1).asked == 6


@pytest.mark.parametrize(
    ("make", "changes"),
    [
        (tallied, {"agrees": 0}),
        (tallied, {"agrees": -1, "differs": 2}),
        (statistics, {"e_value": -1.0}),
        (statistics, {"e_value": float("inf")}),
        (statistics, {"e_value": float("nan")}),
        (statistics, {"bar": 1.0}),
        (statistics, {"bar": float("inf")}),
        (statistics, {"queries": -1}),
        (statistics, {"false_alarm_bound": 0.0}),
        (statistics, {"missed_bound": 1.0}),
        (statistics, {"look": 0}),
        # A reason goes with what is unclear, and with nothing else.
        (evidence, {"finding": Finding.UNCLEAR}),
        (evidence, {"finding": Finding.AGREES, "reason": "odd"}),
        (evidence, {"finding": Finding.DIFFERS, "reason": "odd"}),
    ],
)
def test_what_contradicts_itself_or_is_out_of_its_range_cannot_be_made(make, changes):
    with pytest.raises(InvalidArgumentError):
        make(**changes)
