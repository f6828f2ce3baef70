"""CSV files of other tools: headers, separators, encodings and rows that are not as ours; one fault that names it."""

import numpy as np
import pytest

from hilmix.data.folder import examine_folder, read_folder


@pytest.fixture
def root(tmp_path):
    (tmp_path / "items.csv").write_text("item\n0\n1\n")
    (tmp_path / "dataset.yaml").write_text("name: demo\ninput: vector\n")
    np.save(tmp_path / "inputs.npy", np.zeros((2, 2)))
    return tmp_path


@pytest.mark.parametrize("start", ["", "\ufeff", '\ufeff"'])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_marks_and_ends_of_lines_are_no_part_of_names(root, start, end):
    header = f"{start}item{start[1:]},annotator,label"
    (root / "annotations.csv").write_bytes(f"{header}{end}0,ann,x{end}{end}1,ann,y{end}".encode())
    votes = read_folder(root).annotations
    assert (votes.classes, votes.annotators, votes.item.tolist()) == (("x", "y"), ("ann",), [0, 1])


@pytest.mark.parametrize("header", ["item,annotator,label,label", "item,annotator,label, label", "item,item,annotator"])
def test_a_column_that_is_there_twice(root, header):
    (root / "annotations.csv").write_text(f"{header}\n{'a,' * header.count(',')}x\n")
    (fault,) = [f for f in examine_folder(root).found.faults if f.kind == "repeated-column"]
    assert fault.where == max(("item", "label"), key=header.count)


def test_columns_without_a_name_are_ignored(root):
    (root / "annotations.csv").write_text("item,annotator,label,,\n0,ann,x,,\n")
    assert not [f for f in examine_folder(root).found.faults if f.kind == "repeated-column"]


@pytest.mark.parametrize(("sign", "named"), [(";", "semicolons"), ("\t", "tabs"), ("|", "bars")])
def test_other_separators_are_named(root, sign, named):
    (root / "annotations.csv").write_text("item,annotator,label\n0,ann,x\n".replace(",", sign))
    (fault,) = examine_folder(root).found.faults
    assert (fault.kind, named in fault.found) == ("separator", True)


@pytest.mark.parametrize("rows", ["a,b,c,d\n", "a,b,c\na,b,c,d\n"])
def test_the_line_with_more_cells_than_the_header_is_named(root, rows):
    (root / "annotations.csv").write_text("item,annotator,label\n" + rows)
    (fault,) = examine_folder(root).found.faults
    assert (fault.kind, f"line {rows.count(chr(10)) + 1}," in fault.found) == ("unreadable", True)


def test_another_encoding_is_refused_with_the_one_that_is_read(root):
    (root / "annotations.csv").write_bytes("item,annotator,label\n0,ann,caf\u00e9\n".encode("latin-1"))
    (fault,) = examine_folder(root).found.faults
    assert (fault.kind, "UTF-8" in fault.remedy) == ("unreadable", True)
