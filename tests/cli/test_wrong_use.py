import pytest


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--bogus"], "no such option: --bogus (see modelseal --help)"),
        (["nosuch"], "no such command 'nosuch' (see modelseal --help)"),
        (["inspect"], "inspect: missing argument 'FINGERPRINT' (see modelseal inspect --help)"),
        (["inspect", "a", "b"], "inspect: got unexpected extra argument"),
        (
            ["keygen", "-o"],
            "keygen: option '-o' requires an argument (see modelseal keygen --help)",
        ),
        (
            ["inspect", "a", "https://me:hunter2@host/"],
            "inspect: got unexpected extra argument(s) (",
        ),
        (
            ["keygen", "-o", "k", "--for", "x"],
            "keygen: invalid value for '--for': 'x' is not one of 'encryption', 'signing' (see",
        ),
        (["verify", "a", "b", "--retries", "x"], "verify: invalid value for '--retries': "),
        (["seal", "--neighbour", "1"], "seal: no such option: --neighbour"),
    ],
)
def test_a_wrong_command_line_is_one_sentence_and_exit_code_2(run, arguments, sentence):
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.startswith(f"modelseal: {sentence}")
    assert result.stderr.count("\n") == 1
    assert "hunter2" not in result.stderr


def test_no_argument_at_all_shows_the_help(run):
    result = run()
    assert result.exit_code == 2
    assert "Usage: modelseal" in result.stdout + result.stderr
