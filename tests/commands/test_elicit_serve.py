import pytest

from hilmix.cli import main
from tests.elicit.studies import make_study


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--port", "0"], "--port is 0; allowed are 1 to 65535."),
        (["--study-token", "a b"], "--study-token can not be used; allowed are 8 to 100 letters, digits, '-' and '_'."),
    ],
)
def test_options_that_can_not_work(tmp_path, capsys, options, said):
    assert main(["elicit", "serve", str(make_study(tmp_path / "s")), *options]) == 2
    assert capsys.readouterr().err == f"error: {said}\n"


def test_a_folder_without_a_study(tmp_path, capsys):
    assert main(["elicit", "serve", str(tmp_path)]) == 2
    assert "study.json" in capsys.readouterr().err
    assert not (tmp_path / "answers.sqlite").exists()
