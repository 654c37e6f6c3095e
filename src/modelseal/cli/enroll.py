"""`modelseal enroll`: records what a trusted deployment answers, and how steadily."""

import modelseal as ms
from modelseal.cli.options import (
    AcceptOther,
    BothPassphraseFile,
    CheckFile,
    EncryptTo,
    EndpointName,
    EnrolmentAlpha,
    FingerprintFile,
    KeyFile,
    MostUnstable,
    OrderSeed,
    Output,
    Pace,
    Repeats,
    Retries,
    ShowsOption,
    Timeout,
)


def enroll(  # noqa: PLR0913 (a verb)
    fingerprint: FingerprintFile,
    endpoint: EndpointName,
    *,
    output: Output,
    repeats: Repeats = 30,
    alpha: EnrolmentAlpha = 0.01,
    most_unstable: MostUnstable = 0.4,
    accept_other: AcceptOther = False,
    shows: ShowsOption = None,
    seed: OrderSeed = None,
    retries: Retries = 3,
    timeout: Timeout = 30.0,
    pace: Pace = 0.0,
    check: CheckFile = None,
    key: KeyFile = None,
    encrypt_to: EncryptTo = None,
    passphrase_file: BothPassphraseFile = None,
) -> None:
    """Record what a trusted deployment answers, and how steadily, for a later `verify`.

    For services whose answers vary from call to call.
    """
    import numpy as np

    from modelseal.cli.console import Paper, complain, reporting
    from modelseal.cli.fingerprint_files import check_lock, choose_destination, read_fingerprint
    from modelseal.cli.render import tell_enrolled, warn_of_others

    policy = ms.QueryPolicy(retries=retries, timeout=timeout, pace=pace)
    read_first = [each for each in (key, check) if each]
    goal = choose_destination(
        output,
        inputs=[
            fingerprint,
            ms.ledger_file(fingerprint),
            *read_first,
            *ms.endpoint_files(endpoint),
        ],
        encrypt_to=encrypt_to,
        passphrase_file=passphrase_file,
    )
    check_lock(fingerprint, goal.lock)
    sealed = read_fingerprint(fingerprint, key=key, passphrase_file=passphrase_file)
    with reporting() as report:
        enrolled = ms.enroll(
            sealed,
            endpoint,
            policy=policy,
            repeats=repeats,
            alpha=alpha,
            most_unstable=most_unstable,
            accept_other=accept_other,
            preflight=check,
            shows=ms.Kind(shows.value) if shows else None,
            generator=np.random.default_rng(seed),
            progress=report,
        )
    goal.write(enrolled)
    tell_enrolled(Paper(), enrolled, file=str(output), asked=len(sealed))
    warning = warn_of_others(enrolled.enrollment) if enrolled.enrollment else ""
    if warning:
        complain(warning)
