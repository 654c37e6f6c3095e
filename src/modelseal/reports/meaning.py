"""What each outcome says, in words that promise no more than this check can."""

from modelseal.reports.record import Record

SEALED = {
    "intact": "Every sample of this check was answered as the sealed model answers it. That is "
    "strong evidence, no proof.",
    "tampered": "A sample was answered otherwise than the sealed model answers it in any harmless "
    "way of running it that was tried at sealing: the weights, their precision or the "
    "preprocessing were changed.",
    "undecided": "Answers are missing or malformed, or not all samples were asked. Nothing is "
    "known of the model, and it must not be taken for intact.",
}
"""Of a model whose answers do not vary."""

ENROLLED = {
    "intact": "For every sample of this check the answer that was enrolled is still the most "
    "frequent one. That is strong evidence, no proof, and what was changed before the enrolment "
    "is not found.",
    "tampered": "The answers differ from those of the enrolled deployment more often than chance "
    "explains, at the rate of false alarms that is stated: the model, its precision, its "
    "preprocessing or the machines that it runs on were changed since the enrolment.",
    "undecided": "Answers are missing or malformed, or as many questions as are allowed settled "
    "nothing. Nothing is known of the model, and it must not be taken for intact.",
}
"""Of a deployment whose answers vary, and which is compared with its enrolment."""


def tell_meaning(record: Record, outcome: str) -> str:
    """What an outcome of this check says.

    Args:
        record: What `--json` writes.
        outcome: The outcome, which need not be that of the record.
    """
    meaning = (ENROLLED if "statistics" in record else SEALED)[outcome]
    asked, samples = record["asked"], record["samples"]
    if outcome == "intact" and asked < samples:
        meaning += f" It is about {asked} of {samples} samples; what these alone notice was not "
        meaning += "measured."
    return meaning
