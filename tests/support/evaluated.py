"""Values of an evaluation made by hand, small ones and one that looks like a real one."""

import numpy as np

from modelseal.evaluation.plan import Subject
from modelseal.evaluation.results import SampleSet, Trial

RULES = ("manc", "detection", "random")
STEEPNESS = {"boundary": 1.0, "natural": 0.2, "ascent": 0.45, "misclassified": 0.3, "ibsf": 0.35}
CHANGES = (
    *("ftal", "ftll", "fzll", "rtal", "rtll", "distillation", "quantisation", "pruning"),
    *("degradation-random", "degradation-given", "degradation-sample", "targeted"),
    *("clean-label", "neuron-trojan", "unlearning", "online"),
    *("ftll-1e-5", "quantisation-16", "int8-torch", "int8-onnxruntime"),
)
FAMILIES = {"noise": 21, "sgd": 21, "bit": 32, "prune": 12, "rank-one": 21, "lora": 21}
VARIANTS = ("batch 1", "batch 7", "threads 2", "channels-last", "onnxruntime", "float64")


def subject(method="boundary", network="resnet20", spec="top1"):
    return Subject(network=network, method=method, spec=spec)


def samples(method="boundary", *, size=4, **changes):
    """A set of samples of one method; anything of it may be given."""
    values = {
        "subject": subject(method),
        "psnr": tuple(40.0 + number for number in range(size)),
        "margins": (1e-3,) * size,
        "moves": (1e-5,) * size,
        "picks": {"manc": (tuple(range(size)),)},
        "alarms": {"batch 1": 0},
        "work": 100.0,
    }
    return SampleSet(**{**values, **changes})


def trial(changed, method="boundary", **changes):
    """What one changed network did; `changed` is a text such as `1001`, or truth values."""
    values = {
        "subject": subject(method),
        "name": "ftal",
        "level": None,
        "seed": 0,
        "reason": "",
        "changed": tuple(each in (True, "1") for each in changed),
        "effect": 1.0,
    }
    values.update(changes)
    values.setdefault("tampering", f"{values['name']}({values['level']}, {values['seed']})")
    return Trial(**values)


def refused(method="boundary", **changes):
    reason = changes.pop("reason", "the backdoor works on 0.31 of the inputs, 0.9 was wanted")
    return trial("", method, reason=reason, effect=0.0, **changes)


def everything(methods=tuple(STEEPNESS), *, network="resnet20", seeds=3, size=48, bags=6):
    """The sets and trials of a whole grid, plausible and always the same."""
    random = np.random.default_rng(0)
    sets = [whole_set(method, network, random, size, bags) for method in methods]
    changes = [(name, None) for name in CHANGES]
    for name, count in FAMILIES.items():
        levels = range(count) if name == "bit" else [2.0**-step for step in range(count)]
        changes += [(name, float(level)) for level in levels]
    trials = []
    for name, level in changes:
        strength = strength_of(name, level)
        for seed in range(seeds):
            if name == "clean-label":
                trials += [
                    refused(m, name=name, seed=seed, subject=subject(m, network)) for m in methods
                ]
                continue
            luck = random.normal()
            for method in methods:
                trials.append(
                    answer(method, network, (name, level, seed), strength + luck, random, size)
                )
    return tuple(sets), tuple(trials)


def whole_set(method, network, random, size, bags):
    order = random.permutation(size).reshape(bags, -1)
    natural = method in ("natural", "misclassified")
    quiet = np.exp(random.normal(-12.5, 0.5, size))
    reach = {"boundary": 40.0, "ascent": 3e4, "ibsf": 2e5}.get(method.partition(":")[0], 1e6)
    return SampleSet(
        subject=subject(method, network),
        psnr=(float("inf"),) * size if natural else tuple(random.normal(44, 3, size).tolist()),
        margins=tuple((quiet * reach * np.exp(random.normal(0, 0.4, size))).tolist()),
        moves=tuple(quiet.tolist()),
        picks={
            rule: tuple(tuple(random.permutation(row)[:8].tolist()) for row in order)
            for rule in RULES
        },
        alarms=dict.fromkeys(VARIANTS, 0) | ({"float64": 2} if method == "ascent" else {}),
        work={"boundary": 410.0, "ascent": 3000.0, "ibsf": 15000.0}.get(method, 0.0),
    )


def strength_of(name, level):
    """How strong a change is, so that 0 is what an ascent notices every other time."""
    if level is None:
        return 3.0 - 0.35 * CHANGES.index(name)
    if name == "bit":
        return (level - 24) / 1.5
    return np.log2(level) * 0.6 + 4.0


def answer(method, network, row, strength, random, size):
    name, level, seed = row
    steep = STEEPNESS.get(method.partition(":")[0], 0.25)
    chance = 0.92 * steep**0.4 / (1 + np.exp(-(strength + 8 * np.log10(steep) + 6 * (steep == 1))))
    dead = name == "bit" and level < 26 and random.random() < 0.2
    changed = (random.random(size) < chance) & (not dead)
    return trial(
        changed.tolist(),
        method,
        name=name,
        level=level,
        seed=seed,
        subject=subject(method, network),
        effect=0.0 if dead else 0.1,
    )
