"""`modelseal enroll`: records what a trusted deployment answers, and how steadily."""

import modelseal as ms
from modelseal.cli import options


def enroll(  # noqa: PLR0913 (a verb)
    fingerprint: options.FingerprintFile,
    endpoint: options.EndpointName,
    *,
    output: options.Output,
    repeats: options.Repeats = 30,
    alpha: options.EnrolmentAlpha = 0.01,
    most_unstable: options.MostUnstable = 0.4,
    accept_other: options.AcceptOther = False,
    shows: options.ShowsOption = None,
    seed: options.OrderSeed = None,
    retries: options.Retries = 3,
    timeout: options.Timeout = 30.0,
    pace: options.Pace = 0.0,
    check: options.CheckFile = None,
    key: options.KeyFile = None,
    encrypt_to: options.EncryptTo = None,
    passphrase_file: options.BothPassphraseFile = None,
) -> None:
    """Record what a trusted deployment answers, and how steadily, for a later `verify`.

    For services whose answers vary from call to call.
    """
    import numpy as np

    from modelseal.cli.console import Terminal, show_progress, warn
    from modelseal.cli.destinations import check_lock, choose_destination, read_fingerprint
    from modelseal.cli.render import describe_others, show_enrolled

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
    with show_progress() as report:
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
    show_enrolled(Terminal(), enrolled, file=str(output), asked=len(sealed))
    warning = describe_others(enrolled.enrollment) if enrolled.enrollment else ""
    if warning:
        warn(warning)
