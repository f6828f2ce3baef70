"""YAML from strangers: bombs are refused before anything is built, everything else loads as PyYAML loads it."""

import math
import time
import tracemalloc

import pytest
import yaml

from hilmix.cli import main
from hilmix.data.folder import read_folder
from hilmix.errors import ConfigError, DataError
from hilmix.lightning_cli.config_files import check_configs
from hilmix.yaml_files import MAX_ADDED, MAX_DEPTH, YAMLBomb, check_yaml, load_yaml, write_yaml


def laughs(levels: int = 9, width: int = 9, *, maps: bool = False) -> str:
    """The billion laughs: each level names the one below ``width`` times."""
    lines = ["a0: &a0 lol"]
    for level in range(1, levels + 1):
        below = [f"k{i}: *a{level - 1}" if maps else f"*a{level - 1}" for i in range(width)]
        inside = f"{{{', '.join(below)}}}" if maps else f"[{', '.join(below)}]"
        lines.append(f"a{level}: &a{level} {inside}")
    return "\n".join(lines)


BOMBS = {
    "lists": laughs(),
    "maps": laughs(maps=True),
    "pairs": laughs(30, 2),
    "merges": "\n".join(["a0: &a0 {x: 1}", *(f"a{i}: &a{i} {{<<: [{f'*a{i - 1}, ' * 2}]}}" for i in range(1, 31))]),
    "text": "a: &a " + "x" * 10_000 + "\nb: [" + ", ".join(["*a"] * 10_000) + "]",
    "itself": "a: &a [1, *a]",
    "itself in a map": "a: &a {b: {c: *a}}",
    "depth": "a: " + "[" * 20_000 + "]" * 20_000,
    "depth of maps": "{a: " * 5_000 + "1" + "}" * 5_000,
}


def expanded(node) -> int:
    """Brute force: characters and nodes when every alias is written out."""
    if isinstance(node, dict):
        return 1 + sum(expanded(k) + expanded(v) for k, v in node.items())
    if isinstance(node, list):
        return 1 + sum(map(expanded, node))
    return 1 + len(node)


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_bomb_is_refused_at_once_and_takes_no_memory(text):
    tracemalloc.start()
    began = time.process_time()
    with pytest.raises(yaml.YAMLError):
        load_yaml(text)
    assert time.process_time() - began < 5
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
def test_bomb_in_a_data_folder(tmp_path, text):
    (tmp_path / "dataset.yaml").write_text(f"name: mine\ninput: vector\n{text}")
    with pytest.raises(DataError, match=r"dataset\.yaml"):
        read_folder(tmp_path)


@pytest.mark.parametrize("text", BOMBS.values(), ids=BOMBS)
@pytest.mark.parametrize("option", ["-c", "--config"])
def test_bomb_in_a_config(tmp_path, text, option):
    (tmp_path / "bomb.yaml").write_text(text)
    with pytest.raises(ConfigError, match=r"bomb\.yaml"):
        check_configs(["fit", option, str(tmp_path / "bomb.yaml")])


@pytest.mark.parametrize("option", ["--data", "--model", "--trainer"])
def test_bomb_in_a_config_of_one_part(tmp_path, capsys, option):
    (tmp_path / "bomb.yaml").write_text(BOMBS["lists"])
    began = time.process_time()
    assert main(["fit", option, str(tmp_path / "bomb.yaml"), "--run_dir", str(tmp_path / "run")]) == 2
    assert time.process_time() - began < 60
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("levels", range(1, 8))
def test_size_counts_what_aliases_stand_for(monkeypatch, levels):
    text = laughs(levels, 3)
    written = sum(1 + len(e.value) for e in yaml.parse(text) if isinstance(e, yaml.ScalarEvent))
    written += sum(isinstance(e, yaml.CollectionStartEvent) for e in yaml.parse(text))
    added = expanded(yaml.safe_load(text)) - written
    monkeypatch.setattr("hilmix.yaml_files.MAX_ADDED", added)
    check_yaml(text)
    monkeypatch.setattr("hilmix.yaml_files.MAX_ADDED", added - 1)
    with pytest.raises(YAMLBomb):
        check_yaml(text)


def test_plain_files_of_any_size_and_usual_aliases_load():
    big = "classes:\n" + "".join(f"- class-{i}\n" for i in range(100_000))
    assert len(big) > MAX_ADDED
    assert len(load_yaml(big)["classes"]) == 100_000
    text = "base: &base {lr: 0.1, layers: [1, 2]}\none: {<<: *base, lr: 0.2}\ntwo: *base"
    assert load_yaml(text) == yaml.safe_load(text)
    nested = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert load_yaml(nested) == yaml.safe_load(nested)
    assert load_yaml("a: yes\nb: 010", loader=yaml.BaseLoader) == {"a": "yes", "b": "010"}


@pytest.mark.parametrize(
    "text",
    [
        "d: 2026-13-45",
        "n: " + "9" * 5_000,
        "b: !!bool maybe",
        "t: !!timestamp x",
        "f: !!float x",
        "i: !!int ''",
        "a: *nothing",
        "x: !!python/object/apply:os.system [id]",
        "a: [",
        "a: &a 1\n--- \nb: 2",
    ],
)
def test_what_no_plain_value_fits_is_an_error_of_yaml(text):
    with pytest.raises(yaml.YAMLError):
        load_yaml(text)


def test_what_is_written_as_yaml_is_read_the_same() -> None:
    content = {
        "z": {"rate": 1e-05, "large": math.inf, "none": None, "yes": "yes", "date": "2026-11-29", "number": "1e3"},
        "a": [True, 0, -1.5, "Ä" * 200, "${run_dir}/x", "a: b", "", "first\nsecond"],
    }
    read = yaml.safe_load(write_yaml(content))
    assert read == content
    assert list(read) == ["z", "a"]
