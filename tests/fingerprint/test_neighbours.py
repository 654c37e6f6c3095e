import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from modelseal.domain import Domain
from modelseal.errors import InvalidArgumentError
from modelseal.fingerprint.record import check_neighbours, list_faces

DOMAIN = Domain(shape=(2, 2), levels=16)


@given(
    codes=st.lists(st.integers(0, 15), min_size=4, max_size=4),
    moves=st.lists(st.integers(-6, 6), min_size=1, max_size=4),
)
def test_neighbours_are_refused_exactly_if_a_face_would_be_no_valid_input_or_come_twice(
    codes, moves
):
    sample, rows = np.array([codes], np.uint8).reshape(1, 2, 2), np.array([moves])
    valid = all(
        move == 0 or (abs(move) <= 4 and 0 <= codes[abs(move) - 1] + np.sign(move) <= 15)
        for move in moves
    )
    some = [move for move in moves if move]
    valid &= len(set(some)) == len(some)
    try:
        check_neighbours(rows, sample, DOMAIN)
        accepted = True
    except InvalidArgumentError:
        accepted = False
    assert accepted == valid
    if valid:
        faces = list_faces(sample, rows[0])
        DOMAIN.check(faces)
        assert len({face.tobytes() for face in faces}) == len(faces) == 1 + len(some)
