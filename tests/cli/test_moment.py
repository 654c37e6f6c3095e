from modelseal.files import now
from modelseal.fingerprint.checks import check_moment


def test_the_moment_is_one_that_fingerprints_take():
    check_moment(now(), field="time")
