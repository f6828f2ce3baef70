"""What the cells of a data folder mean: spelling, missing values, abstentions, soft answers, repeats, odd names."""

import numpy as np
import pandas as pd
import pytest

from hilmix.data.folder import examine_folder, read_folder, read_labels, write_folder
from hilmix.data.folder.describe import describe_data
from hilmix.faults import FaultyDataError


@pytest.fixture(params=["csv", "parquet"])
def folder(tmp_path, request):
    """``folder(items, votes, meta)`` writes a folder of vectors, tables as columns, once as CSV and once as Parquet."""

    def write(items, votes, meta=""):
        root = tmp_path / "mine"
        root.mkdir()
        for stem, columns in (("items", items), ("annotations", votes)):
            frame = pd.DataFrame(columns)
            if request.param == "csv":
                frame.to_csv(root / f"{stem}.csv", index=False)
            else:
                frame.to_parquet(root / f"{stem}.parquet")
        (root / "dataset.yaml").write_text("name: demo\ninput: vector\n" + meta)
        np.save(root / "inputs.npy", np.zeros((len(items["item"]), 2)))
        return root

    return write


def votes(label, **columns):
    number = len(label) if label is not None else len(next(iter(columns.values())))
    table = {"item": [f"i{n}" for n in range(number)], "annotator": ["ann"] * number, "label": label} | columns
    return {name: values for name, values in table.items() if values is not None}


def items(number=3, **columns):
    return {"item": [f"i{n}" for n in range(number)]} | columns


def faults(root):
    with pytest.raises(FaultyDataError) as raised:
        read_folder(root)
    assert raised.value.faults == tuple(examine_folder(root).found.faults)
    return {(fault.kind, fault.where): fault for fault in raised.value.faults}


def notes(root):
    return {(note.kind, note.where): note for note in read_folder(root).notes}


@pytest.mark.parametrize(
    ("label", "target", "classes"),
    [
        ([0.0, 1.0, 2.0], [0, 1, 2], ("0", "1", "2")),
        (["0.0", "1.0", "2.0"], [0, 1, None], ("0", "1", "2")),
        ([0, 1, 2], ["0.0", " ", "2.0"], ("0", "1", "2")),
        (["TRUE", "true", "False"], [True, True, False], ("False", "True")),
        (["01", "02", "03"], ["01", "02", None], ("01", "02", "03")),
        ([1.5, 2.0, 1.0], [1.5, 2.0, 1.0], ("1.0", "1.5", "2.0")),
        ([3, 901, 52821], [3, 901, 52821], ("3", "901", "52821")),
        ([9_999_999_998, 9_999_999_999, 1], None, ("1", "9999999998", "9999999999")),
        ([1, 2, 2], [1, 2, None], ("1", "2")),
    ],
)
def test_labels_and_targets_have_one_spelling(folder, label, target, classes):
    data = read_folder(folder(items(target=target) if target else items(), votes(label)))
    assert data.classes == classes
    found = describe_data(data)
    if target:
        assert found.wrong_labels == 0
        assert found.majority_accuracy == 1
    else:
        assert np.isnan(found.wrong_labels)


def test_numbers_and_booleans_are_never_merged_but_reported(folder):
    root = folder(items(target=[1, 0, 1]), votes([True, False, True]))
    assert read_folder(root).classes == ("0", "1", "False", "True")
    assert ("no-common-class", "label") in notes(root)


@pytest.mark.parametrize("item", [[1, 2, 3], [1.0, 2.0, 3.0], ["1.0", "2.0", "3.0"]])
@pytest.mark.parametrize("named", [[1, 2, 3], [1.0, 2.0, 3.0], ["1.0", "2", "3.00"]])
def test_items_annotators_and_groups_have_one_spelling(folder, item, named):
    table = {"item": named, "annotator": [7.0, 7.0, 8.0], "label": ["x", "y", "x"]}
    root = folder({"item": item, "group": [1.0, None, 2.0]}, table)
    (root / "annotators.csv").write_text("annotator,age\n8,1\n7.0,2\n")
    data = read_folder(root)
    assert data.items == ("1", "2", "3")
    assert data.annotations.annotators == ("7", "8")
    assert data.annotator_features.tolist() == [[2], [1]]
    assert (data.groups, data.group.tolist()) == (("1", "2"), [0, -1, 1])


def test_items_that_mix_numbers_and_text_are_found_by_value(folder):
    root = folder({"item": ["1", "2.0", "photo"]}, {"item": [1.0, 2.0], "annotator": ["a", "b"], "label": ["x", "x"]})
    assert read_folder(root).annotations.item.tolist() == [0, 1]


@pytest.mark.parametrize("blank", ["", " ", "\t", None, "NA", "NaN", "None", "null", "\u200b"])
def test_missing_labels_and_annotators_are_refused_with_their_row(folder, blank):
    table = votes(["cat", blank, "cat", blank], annotator=["ann", "bob", blank, blank])
    found = faults(folder(items(4), table))
    assert found["empty", "label"].rows == (1, 3)
    assert found["empty", "label"].count == 2
    assert found["empty", "annotator"].rows == (2, 3)


@pytest.mark.parametrize("blank", ["", "  ", None, "NA", "nan"])
def test_missing_targets_and_groups_are_unknown(folder, blank):
    root = folder(items(target=["cat", blank, "dog"], group=[blank, "g", blank]), votes(["cat", "dog", "dog"]))
    data = read_folder(root)
    assert data.target.tolist() == [0, -1, 1]
    assert (data.groups, data.group.tolist()) == (("g",), [-1, 0, -1])
    assert describe_data(data).known_targets == 2


def test_texts_for_missing_are_counted_and_may_be_listed_as_classes(folder):
    root = folder(items(4, target=["NA", "None", "cat", "NaN"]), votes(["cat", "dog", "cat", "dog"]))
    assert notes(root)["missing-text", "target"].count == 3
    (root / "dataset.yaml").write_text("input: vector\nclasses: [cat, dog, NA]\n")
    assert read_folder(root).target.tolist() == [2, -1, 0, -1]
    assert notes(root)["missing-text", "target"].count == 2


def test_negative_numbers_are_refused_unless_declared(folder):
    root = folder(items(4, target=[0, 1, -1, 1]), votes([0, -1, 1, -1]))
    found = faults(root)
    assert found["negative", "label"].rows == (1, 3)
    assert found["negative", "target"].rows == (2,)
    assert "missing: [-1]" in found["negative", "label"].remedy
    (root / "dataset.yaml").write_text("input: vector\nmissing: [-1]\n")
    data = read_folder(root)
    assert (data.classes, data.target.tolist()) == (("0", "1"), [0, 1, -1, 1])
    assert data.annotations.item.tolist() == [0, 2]
    assert notes(root)["abstention", "label"].count == 2
    (root / "dataset.yaml").write_text("input: vector\nclasses: [-1, 0, 1]\n")
    assert read_folder(root).annotations.label.tolist() == [1, 0, 2, 0]


def test_words_for_no_label_are_dropped_and_counted(folder):
    root = folder(
        items(), votes(["cat", "skip", "unsure"], annotator=["ann", "bob", "ann"]), "missing: [skip, unsure]\n"
    )
    data = read_folder(root)
    assert (data.classes, data.annotations.annotators) == (("cat",), ("ann",))
    assert data.annotations.labels_per_item.tolist() == [1, 0, 0]
    assert notes(root)["abstention", "label"].count == 2


def test_numbers_around_a_word_for_no_label_keep_one_spelling(folder):
    root = folder(items(target=[0, 1, 0]), votes(["0.0", "1.0", "skip"]), "missing: skip\n")
    assert read_folder(root).classes == ("0", "1")
    assert describe_data(read_folder(root)).wrong_labels == 0


@pytest.mark.parametrize("cell", ["['cat', 'dog']", '{"choices": ["cat", "dog"]}', '["cat"]', "[cat, dog]"])
def test_lists_in_cells_are_refused_with_their_row(folder, cell):
    found = faults(folder(items(target=["cat", "dog", cell]), votes(["cat", cell, "dog"])))
    assert found["list", "label"].rows == (1,)
    assert "hilmix data import" in found["list", "label"].remedy
    assert found["list", "target"].rows == (2,)


def test_names_in_brackets_are_names(folder):
    assert read_folder(folder(items(), votes(["[/cat]", "(dog)", "cat [small]"]))).classes == (
        "(dog)",
        "[/cat]",
        "cat [small]",
    )


def test_names_that_look_alike_are_noted(folder):
    root = folder(
        {"item": ["A", "a", "b"], "group": ["g", "G", None]},
        {"item": ["A", "a", "b"], "annotator": ["Bob", "bob", "bob\u200b"], "label": ["Cat", "cat", "caf\u00e9"]},
    )
    found = notes(root)
    for where, names in (
        ("label", ("'Cat'", "'cat'")),
        ("annotator", ("'Bob'", "'bob'")),
        ("item", ("'A'", "'a'")),
        ("group", ("'g'", "'G'")),
    ):
        assert all(name in found["similar-names", where].found for name in names)


def soft(cat, dog, label=None, **columns):
    return votes(label, prob_cat=cat, prob_dog=dog, **columns)


def test_a_label_that_contradicts_its_probabilities_is_refused(folder):
    root = folder(items(), soft([0.9, 0.2, 0.5], [0.1, 0.8, 0.5], ["dog", "dog", "dog"]))
    assert faults(root)["contradiction", "label"].rows == (0,)


def test_a_draw_agrees_with_either_label(folder):
    root = folder(items(), soft([0.5, 0.5, 1], [0.5, 0.5, 0], ["dog", "cat", ""]))
    assert read_folder(root).annotations.label.tolist() == [1, 0, 0]


def test_probabilities_of_no_class_are_never_dropped(folder):
    table = soft([0.1, 0.2, 0], [0.1, 0.8, 0], prob_other=[0.8, 0, 1])
    root = folder(items(), table, "classes: [cat, dog]\n")
    assert ("unknown-class", "prob_other") in faults(root)
    (root / "dataset.yaml").write_text("input: vector\nclasses: [cat, dog]\nmissing: [other]\n")
    assert faults(root)["abstention", "probs"].rows == (0,)  # neither a label nor none
    (root / "dataset.yaml").write_text("input: vector\n")
    assert read_folder(root).classes == ("cat", "dog", "other")


def test_a_whole_answer_of_no_class_is_an_abstention(folder):
    table = soft([0.4, 0.2, 0], [0.6, 0.8, 0], prob_other=[0, 0, 1])
    data = read_folder(folder(items(), table, "missing: [other]\n"))
    assert data.classes == ("cat", "dog")
    assert data.annotations.labels_per_item.tolist() == [1, 1, 0]
    np.testing.assert_allclose(data.annotations.probs, [[0.4, 0.6], [0.2, 0.8]], rtol=1e-6)


REPEATS = {
    "item": ["i0", "i0", "i0", "i1", "i0"],
    "annotator": ["ann", "bob", "ann", "ann", "ann"],
    "label": ["x", "y", "y", "x", "z"],
}


@pytest.mark.parametrize(
    ("meta", "pairs"),
    [
        ("", [("bob", "y"), ("ann", "z"), ("ann", "x")]),
        ("duplicates: last\n", [("bob", "y"), ("ann", "z"), ("ann", "x")]),
        ("duplicates: first\n", [("ann", "x"), ("bob", "y"), ("ann", "x")]),
        ("duplicates: keep\n", [("ann", "x"), ("bob", "y"), ("ann", "y"), ("ann", "z"), ("ann", "x")]),
    ],
)
def test_which_of_several_labels_of_one_annotator_counts(folder, tmp_path, meta, pairs):
    root = folder(items(2), REPEATS, meta)
    for data in (read_folder(root), read_folder(write_folder(read_folder(root), tmp_path / "copy"))):
        frame = data.annotations.to_frame(data.items)
        assert list(zip(frame["annotator"], frame["label"], strict=True)) == pairs
    assert notes(root)["repeats", "annotator"].count == 2
    assert read_labels(root).annotations.num_pairs == len(pairs)


def test_repeats_may_be_refused(folder):
    assert faults(folder(items(2), REPEATS, "duplicates: error\n"))["repeats", "annotator"].count == 2


def test_repeats_of_exchangeable_annotators_are_labels_of_several_people(folder):
    data = read_folder(folder(items(2), REPEATS, "identity: exchangeable\n"))
    assert data.annotations.num_pairs == 5
    assert not data.notes


def test_a_later_abstention_withdraws_the_label(folder):
    table = {"item": ["i0", "i0"], "annotator": ["ann", "ann"], "label": ["cat", "skip"]}
    assert read_folder(folder(items(1), table, "missing: [skip]\n")).annotations.num_pairs == 0


@pytest.mark.parametrize("listed", ["[001, 010, 1.10]", "[yes, no]", "[2026-11-29, null, ~]", "[1_000, 0x10, .5]"])
def test_names_in_the_description_are_read_as_written(folder, listed):
    names = listed.strip("[]").split(", ")
    root = folder(items(len(names)), votes(names), f"classes: {listed}\n")
    data = read_folder(root)
    assert data.classes == tuple(names)
    assert data.annotations.label.tolist() == list(range(len(names)))
    (root / "dataset.yaml").write_text(f"input: vector\nname: {names[0]}\nlicence: {names[0]}\nclasses: {listed}\n")
    assert (read_folder(root).name, read_folder(root).licence) == (names[0], names[0])


@pytest.mark.parametrize("key", ["name", "licence", "input", "duplicates", "identity"])
@pytest.mark.parametrize("value", ["[a]", "{a: b}"])
def test_lists_and_maps_in_the_description_are_refused(folder, key, value):
    root = folder(items(), votes(["a", "b", "a"]))
    (root / "dataset.yaml").write_text("".join(f"{k}: {v}\n" for k, v in ({"input": "vector"} | {key: value}).items()))
    assert ("key", key) in faults(root)


@pytest.mark.parametrize(
    "meta",
    [
        "missing: {a: b}",
        "missing: [[a]]",
        "classes: [a, a]",
        "classes: [a]\nmissing: [a]",
        "duplicates: newest",
    ],
)
def test_what_cannot_be_meant_is_refused(folder, meta):
    root = folder(items(), votes(["a", "a", "a"]), meta + "\n")
    assert {kind for kind, _ in faults(root)} == {"key"}


@pytest.mark.parametrize(("rows", "kind"), [("ann,1\n,2\n,3\n", "empty"), ("ann,1\nann,2\n", "repeated-annotator")])
def test_rows_of_annotators_are_named_once(folder, rows, kind):
    root = folder(items(), votes(["a", "b", "a"]))
    (root / "annotators.csv").write_text("annotator,age\n" + rows)
    assert (kind, "annotator") in faults(root)


def test_lists_in_parquet_are_refused_with_their_row(tmp_path):
    pd.DataFrame(items(2)).to_parquet(tmp_path / "items.parquet")
    pd.DataFrame(votes([["cat"], ["cat", "dog"]])).to_parquet(tmp_path / "annotations.parquet")
    (tmp_path / "dataset.yaml").write_text("input: vector\n")
    np.save(tmp_path / "inputs.npy", np.zeros((2, 2)))
    assert faults(tmp_path)["list", "label"].rows == (0, 1)


def test_listed_classes_are_found_by_value(folder):
    root = folder(
        items(4, target=[True, False, None, True]), votes([True, False, True, True]), "classes: [true, false]\n"
    )
    data = read_folder(root)
    assert (data.classes, data.annotations.label.tolist()) == (("true", "false"), [0, 1, 0, 0])
    assert data.target.tolist() == [0, 1, -1, 0]


def test_masks_name_items_and_annotators_by_value(folder):
    root = folder({"item": [1, 2]}, {"item": [1.0, 2.0], "annotator": ["a", "a"], "label": ["x", "y"]})
    pd.DataFrame({"item": [2.0, None, 1.0][::2], "annotator": [7.0, 8.0]}).to_csv(root / "masks.csv", index=False)
    np.save(root / "masks.npy", np.ones((2, 2), dtype=np.float32))
    masks = read_folder(root).masks
    assert masks.item.tolist() == [0, 1]
    assert masks.annotators == ("7", "8")


@pytest.mark.parametrize("mark", ["-1", "-1.0", "skip"])
def test_a_mark_for_no_label_may_stand_alone(folder, mark):
    root = folder(items(), votes(["0.0", mark, "1.0"]), f"missing: {mark}\n")
    assert read_folder(root).annotations.item.tolist() == [0, 2]


def test_long_ids_beside_a_missing_cell_stay_apart(folder):
    ids = [900719925474099301, 900719925474099302, None]
    root = folder(items(3, target=pd.array(ids, dtype="Int64")), votes(pd.array([*ids[:2], ids[0]], dtype="Int64")))
    data = read_folder(root)
    assert data.classes == tuple(map(str, ids[:2]))
    assert data.target.tolist() == [0, 1, -1]


def test_missing_cells_and_marks_are_counted_in_words(folder):
    root = folder(items(12, group=["NA"] * 11 + ["g"]), votes(["skip"] * 11 + ["cat"]), "missing: [skip]\n")
    found = notes(root)
    assert "11" in found["missing-text", "group"].sentence()
    assert "11" in found["abstention", "label"].sentence()


@pytest.mark.parametrize(
    ("label", "target", "classes"),
    [
        ([1e16, 2e16, 5.0], [10**16, 2 * 10**16, 5], ("5", "10000000000000000", "20000000000000000")),
        (["1.5e+17", "3", "3"], [15 * 10**16, 3, 3], ("3", "150000000000000000")),
        (["1e5", "2e5", "1e5"], ["1e5", "2e5", None], ("1e5", "2e5")),  # wells of a plate, or hexadecimal
        (np.array([0.1, 0.2, 0.1], dtype=np.float32), ["0.1", "0.2", "0.1"], ("0.1", "0.2")),
    ],
)
def test_floats_have_the_spelling_that_csv_files_give_them(folder, label, target, classes):
    data = read_folder(folder(items(target=target), votes(label)))
    assert data.classes == classes
    assert describe_data(data).wrong_labels == 0


def test_soft_columns_of_whole_numbers_are_spelled_as_labels(folder):
    root = folder(items(target=[0, 1, 1]), votes([0, 1, 1], **{"prob_0.0": [1, 0.2, 0], "prob_1.0": [0, 0.8, 1]}))
    data = read_folder(root)
    assert data.classes == ("0", "1")
    np.testing.assert_allclose(data.annotations.probs, [[1, 0], [0.2, 0.8], [0, 1]])


def test_a_soft_column_without_a_name_is_refused(folder):
    root = folder(items(), votes(["a", "b", "a"], prob_a=[1, 0, 1], prob_b=[0, 1, 0], prob_=[0, 0, 0]))
    assert ("unknown-class", "prob_") in faults(root)


@pytest.mark.parametrize("word", ['""', "NaN", '" "'])
def test_empty_labels_may_be_declared_as_none(folder, word):
    root = folder(items(), votes(["a", None, " "]), f"missing: [-1, {word}]\n")
    assert notes(root)["abstention", "label"].rows == (1, 2)
    data = read_folder(root)
    assert data.classes == ("a",)
    assert data.annotations.item.tolist() == [0]


def test_an_empty_label_beside_probabilities_is_no_abstention(folder):
    root = folder(items(), votes(["a", None, None], prob_a=[1, 0, 1], prob_b=[0, 1, 0]), 'missing: [""]\n')
    assert read_folder(root).annotations.num_pairs == 3


def test_one_name_under_classes_and_missing_is_refused_whatever_its_spelling(folder):
    root = folder(items(), votes([1, 2, -1]), "classes: [1, 2, -1]\nmissing: [-1.0]\n")
    assert ("key", "missing") in faults(root)


@pytest.mark.parametrize("cell", ["{cat,dog}", "array(['cat', 'dog'], dtype=object)", "set()", "frozenset({'cat'})"])
def test_lists_of_other_programs_are_refused(folder, cell):
    assert faults(folder(items(), votes(["cat", cell, "dog"])))["list", "label"].rows == (1,)


@pytest.mark.parametrize(
    "other", ["cat\ufe0f", "cat\u3164", "c\u034fat", "cat\u180e", "c\u00adat", "\uff43\uff41\uff54"]
)
def test_names_with_unseen_letters_are_named_by_their_code_points(folder, other):
    found = notes(folder(items(target=["cat", "dog", "dog"]), votes([other, "dog", "dog"])))["similar-names", "label"]
    assert "'cat'" in found.found
    assert ascii(other)[1:-1] in found.found
    assert found.title == "warning:"


@pytest.mark.parametrize("other", ["+1", "01", "1e0", "1.00"])
def test_numbers_written_in_two_ways_are_named(folder, other):
    found = notes(folder(items(), votes(["1", other, "cat"])))["similar-names", "label"]
    assert {"'1'", f"'{other}'"} <= set(found.found.split(" differ")[0].split(" and "))


def test_a_class_that_looks_like_a_word_for_missing_is_named(folder):
    found = notes(folder(items(), votes(["cat", "Skip", "cat"]), "missing: [skip]\n"))["similar-names", "label"]
    assert "'Skip' and 'skip'" in found.found


def test_headers_are_read_without_blanks_around_them(tmp_path):
    (tmp_path / "items.csv").write_text("item, target\n01, 001\n02, 002\n")
    (tmp_path / "annotations.csv").write_text("item , annotator,\tlabel\n01,ann,001\n02,ann,002\n")
    (tmp_path / "dataset.yaml").write_text("input: vector\n")
    np.save(tmp_path / "inputs.npy", np.zeros((2, 2)))
    data = read_folder(tmp_path)
    assert (data.items, data.classes, data.target.tolist()) == (("01", "02"), ("001", "002"), [0, 1])


@pytest.mark.parametrize("column", [{"split": ["Train", "val", "test"]}, {"group": ["['a', 'b']", "a", "b"]}])
def test_reading_labels_alone_refuses_the_same_tables(folder, column):
    root = folder(items(**column), votes(["cat", "dog", "cat"]))
    found = faults(root)
    with pytest.raises(FaultyDataError) as raised:
        read_labels(root)
    assert {(fault.kind, fault.where) for fault in raised.value.faults} == set(found)


def test_seconds_are_finite(folder):
    assert ("range", "seconds") in faults(folder(items(), votes(["a", "b", "a"], seconds=[1.0, np.inf, None])))


@pytest.mark.parametrize("key", ["name: other", "missing: [b]", "classes: [a]"])
def test_a_key_that_occurs_twice_is_refused(folder, key):
    root = folder(items(), votes(["a", "a", "a"]), f"classes: [a]\nmissing: [c]\n{key}\n")
    assert key.split(":")[0] in faults(root)["unreadable", ""].found


def test_an_empty_list_of_missing_labels_is_none(folder):
    assert read_folder(folder(items(), votes(["a", "b", "a"]), "missing: []\n")).classes == ("a", "b")


@pytest.mark.parametrize("where", ["label", "target", "group", "item", "classes"])
def test_long_lists_do_not_fill_the_message(folder, where):
    long = str(["cat"] * 5000)
    columns = {where: [long, "b", "c"]} if where in ("target", "group", "item") else {}
    meta = f"classes: {{a: {long}}}\n" if where == "classes" else ""
    root = folder(items() | columns, votes([long if where == "label" else "a", "b", "c"]), meta)
    with pytest.raises(FaultyDataError) as raised:
        read_folder(root)
    assert "'cat', 'cat'" in str(raised.value)
    assert len(str(raised.value)) < 3000


@pytest.mark.parametrize(
    ("named", "listed"), [("caf\u00e9", "cafe\u0301"), ("I0", "i0"), ("i0\u200b", "i0"), ("007", "7")]
)
def test_an_unknown_name_is_compared_with_the_one_that_looks_the_same(folder, named, listed):
    table = {"item": [named, "b"], "annotator": ["ann", "ann"], "label": ["x", "y"]}
    found = faults(folder({"item": [listed, "b", "c"]}, table))["unknown-name", "item"]
    assert found.rows == (0,)
    assert listed in found.expected
    assert "'b'" not in found.expected
    assert [ascii(name)[1:-1] in text for name, text in ((named, found.found), (listed, found.expected))] == [True] * 2
