from overhead import measure


def test_verifying_and_the_client_are_measured_beside_one_another():
    found = measure("UINT8", shape=(2, 3), rounds=3)
    assert set(found) == {"verify_ms", "client_ms", "overhead_ms"}
    assert 0 < found["client_ms"] < 1000
    assert 0 < found["verify_ms"] < 1000
