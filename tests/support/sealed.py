"""Fingerprints for tests: one that is always the same, and any that hypothesis can think of."""

from typing import Any

import numpy as np
from hypothesis import strategies as st

from modelseal.domain import Domain
from modelseal.fingerprint.fingerprint import Enrollment, Fingerprint, Limit, Origin
from modelseal.outputs.specs import (
    OutputSpec,
    Probabilities,
    RawScores,
    TopLabels,
    TopProbabilities,
)

DOMAINS = [
    Domain(shape=(2, 3), levels=256),
    Domain(shape=(4,), bounds=(-1.0, 1.0), levels=16),
    Domain(shape=(1, 2, 2), bounds=(-2.5, 3.0), levels=0),
]
SPECS: list[OutputSpec] = [
    *(TopLabels(), TopLabels(3), TopProbabilities(2, 3), Probabilities(4), RawScores(0.25))
]

LIMITS = (
    Limit(
        family="Gaussian noise", unit="of each layer's spread", level=2.0**-14, noticed=20, draws=20
    ),
    Limit(family="a flipped sign bit", noticed=17, draws=20),
    Limit(family="pruning", unit="of all weights", level=0.5, noticed=0, draws=1, fixed=True),
    Limit(family="rounded to bfloat16", noticed=1, draws=1, fixed=True),
)
"""A power with one family of each kind."""


NEIGHBOURS = np.array([[1, -2], [3, 0], [-4, 5], [6, -6]])
"""Neighbours of the first samples of the first domain."""


def enrolment(**changes: Any) -> Enrollment:
    """The same enrolment of three samples every time, but for what is changed."""
    return Enrollment(
        **{
            "endpoint": "https://host/v2/models/digits",
            "created": "2026-11-24T10:00:00Z",
            "alpha": 0.01,
            "repeats": 30,
            "asked": 5,
            "differing": (0, 2, 1),
            "otherwise": (False, True, False),
            **changes,
        }
    )


def limit(**changes: Any) -> Limit:
    return Limit(**{"family": "noise", "noticed": 20, "draws": 20, **changes})


def origin(**changes: Any) -> Origin:
    return Origin(
        **{
            "method": "boundary",
            "parameters": {"tie": 3, "margin": 0.001, "search": "lattice"},
            "seed": 7,
            "weights_digest": "sha256:" + "0123456789abcdef" * 4,
            "packages": {"modelseal": "0.1.0", "numpy": "2.4.6"},
            "created": "2026-11-23T10:00:00Z",
            "variants": ("batch 7", "threads 2"),
            "harmless_answers": 3000,
            **changes,
        }
    )


def fields(*, count: int = 3, **changes: Any) -> dict[str, Any]:
    """The fields of a fingerprint that is the same every time, but for what is changed."""
    domain = changes.get("domain", DOMAINS[0])
    spec = changes.get("spec", TopLabels())
    classes = changes.get("classes", 5)
    numbers = np.arange(count * int(np.prod(domain.shape)), dtype=np.float64)
    inputs = domain.bounds[0] + domain.span * ((numbers * 0.37) % 1)
    scores = np.sin(np.arange(count * classes, dtype=np.float64)).reshape(count, classes)
    return {
        "domain": domain,
        "spec": spec,
        "classes": classes,
        "samples": domain.encode(inputs.reshape(count, *domain.shape)),
        "expected": changes.get("expected") or spec.reveal(scores),
        "margins": np.linspace(0.5, 1.0, count),
        "moves": np.linspace(0.0, 0.01, count),
        "factor": 10.0,
        "psnr": np.array([np.inf, 48.5, 41.25] * count)[:count],
        "sources": np.arange(count, dtype=np.int64)[::-1].copy(),
        "origin": origin(),
        **changes,
    }


def fingerprint(*, count: int = 3, **changes: Any) -> Fingerprint:
    """A fingerprint that is the same every time, but for what is changed."""
    return Fingerprint(**fields(count=count, **changes))


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
whole = st.integers(-(2**63), 2**63 - 1)
finite = st.floats(allow_nan=False, allow_infinity=False)

origins = st.builds(
    dict,
    method=texts,
    parameters=st.dictionaries(texts, texts | whole | finite, max_size=3),
    seed=whole,
    packages=st.dictionaries(texts, texts, max_size=3),
    variants=st.lists(texts, max_size=3).map(tuple),
    harmless_answers=st.integers(0, 2**63 - 1),
)

sizes = st.none() | st.tuples(texts, st.floats(0, exclude_min=True, allow_infinity=False))


@st.composite
def limits(draw: st.DrawFn, family: str) -> dict[str, Any]:
    """The fields of any limit of a family."""
    fixed = draw(st.booleans())
    draws = 1 if fixed else draw(st.integers(1, 10_000))
    unit, level = draw(sizes) or (None, None)
    found = {"family": family, "unit": unit, "level": level, "draws": draws, "fixed": fixed}
    return found | {"noticed": draw(st.integers(0, draws))}


@st.composite
def powers(draw: st.DrawFn) -> list[dict[str, Any]]:
    return [draw(limits(family)) for family in draw(st.lists(texts, max_size=3, unique=True))]


@st.composite
def parts(draw: st.DrawFn) -> dict[str, Any]:
    """The parts of any valid fingerprint of a few samples, for `assemble`."""
    count, classes = draw(st.integers(1, 4)), draw(st.integers(3, 6))
    domain, spec = draw(st.sampled_from(DOMAINS)), draw(st.sampled_from(SPECS))
    source = np.random.default_rng(draw(st.integers(0, 2**32)))
    inputs = source.uniform(*domain.bounds, size=(count, *domain.shape))
    kind = draw(st.sampled_from([np.float32, np.float64]))
    column = st.floats(2.0**-100, 2.0**100, width=32)
    margins = np.array(draw(st.lists(column, min_size=count, max_size=count)), kind)
    factor = draw(st.floats(1, 100))
    samples = domain.encode(inputs)
    return {
        "domain": domain,
        "spec": spec,
        "classes": classes,
        "names": draw(st.just(()) | st.lists(texts, min_size=classes, max_size=classes).map(tuple)),
        "samples": samples,
        "expected": spec.reveal(source.normal(size=(count, classes)).astype(kind)),
        "margins": margins,
        "moves": (margins * source.uniform(0, 0.99, count) / factor).astype(kind),
        "factor": factor,
        "psnr": source.choice(np.array([np.inf, 0.0, 47.5]), count),
        "sources": source.integers(0, 2**40, count),
        "origin": draw(origins),
        "power": draw(powers()),
        "neighbours": draw(st.none() | st.just(beside(samples))) if domain.levels else None,
        "enrollment": draw(st.none() | enrolments(count)),
    }


def beside(samples: np.ndarray) -> np.ndarray:
    """One neighbour of each sample, down where that is possible, and one that there is not."""
    last = samples.reshape(len(samples), -1)[:, -1]
    place = samples[0].size
    return np.stack([np.where(last > 0, -place, place), np.zeros(len(samples), int)], axis=1)


@st.composite
def enrolments(draw: st.DrawFn, count: int) -> dict[str, Any]:
    """The fields of any enrolment of so many samples, for `assemble`."""
    repeats = draw(st.integers(1, 1000))
    fewer = st.integers(0, (repeats - 1) // 2)
    return {
        "endpoint": draw(texts),
        "alpha": draw(st.floats(0, 1, exclude_min=True, exclude_max=True)),
        "repeats": repeats,
        "asked": count + draw(st.integers(0, 9)),
        "differing": tuple(draw(st.lists(fewer, min_size=count, max_size=count))),
        "otherwise": tuple(draw(st.lists(st.booleans(), min_size=count, max_size=count))),
    }


def assemble(made: dict[str, Any]) -> Fingerprint:
    power = tuple(Limit(**fields) for fields in made["power"])
    enrolled = made["enrollment"] and enrolment(**made["enrollment"])
    parts = {"origin": origin(**made["origin"]), "power": power, "enrollment": enrolled}
    return Fingerprint(**{**made, **parts})
