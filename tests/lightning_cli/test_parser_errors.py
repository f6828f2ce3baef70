"""Differences of settings, in short."""

from hilmix.lightning_cli.parser_errors import differences


def part(path: str, **args: object) -> dict[str, object]:
    return {"class_path": path, "init_args": args}


def test_equal_settings_do_not_differ() -> None:
    assert differences("x", part("a.B", n=[1.0, 2.0]), part("a.B", n=[1.0, 2.0])) == []


def test_a_setting_inside_parts_is_named_as_on_the_command_line() -> None:
    then = part("mix.Human", perception=part("p.Curve", slope=0.5), alpha=1.0)
    now = part("mix.Human", perception=part("p.Curve", slope=0.7), alpha=1.0, features="f.npy")
    assert differences("data.mix", then, now) == [
        "data.mix.perception.slope: 0.5 then, 0.7 now",
        "data.mix.features: 'not set' then, 'f.npy' now",
    ]


def test_other_classes_are_named_without_their_settings() -> None:
    assert differences("data.mix", part("m.A", n=1), part("m.B", n=2)) == ["data.mix: m.A then, m.B now"]


def test_dictionaries_and_values_of_other_kinds() -> None:
    assert differences("k", {"betas": [0.9]}, {"betas": [0.8]}) == ["k.betas: [0.9] then, [0.8] now"]
    assert differences("k", None, part("m.A")) == ["k: None then, {'class_path': 'm.A', 'init_args': {}} now"]


def test_thousands_of_numbers_are_cut_short_and_paths_are_not() -> None:
    (line,) = differences("k", part("m.A", n=list(range(5000))), part("m.A", n=list(range(1, 5000))))
    assert line == "k.n: [0, 1, 2, 3, 4, 5, ...] then, [1, 2, 3, 4, 5, 6, ...] now"
    assert "a/" * 40 in differences("k", "a/" * 40, None)[0]
