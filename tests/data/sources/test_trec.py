"""TREC questions: the files in small, and facts of the mirror."""

import numpy as np

from hilmix.data.sources.base import Access
from hilmix.data.sources.trec import CLASSES, QUESTIONS, read_questions


def test_coarse_classes_and_questions(tmp_path):
    contents = ["DESC:manner How did it \xe9nd ?\nHUM:ind Who was he ?\n", "LOC:city Where is it ?\n"]
    paths = [tmp_path / "a", tmp_path / "b"]
    for path, content in zip(paths, contents, strict=True):
        path.write_bytes(content.encode("latin-1"))
    train, test, target = read_questions(paths)
    assert train == ["How did it \xe9nd ?", "Who was he ?"]
    assert test == ["Where is it ?"]
    assert [CLASSES[k] for k in target] == ["description", "human", "location"]


def test_questions_of_the_mirror(real_data, tmp_path):
    train, test, target = Access(tmp_path, real_data).read(QUESTIONS)
    assert (len(train), len(test)) == (5_452, 500)
    assert train[0] == "How did serfdom develop in and then leave Russia ?"
    # As published: ABBR 86, DESC 1162, ENTY 1250, HUM 1223, LOC 835, NUM 896.
    assert np.bincount(target[:5_452]).tolist() == [86, 1162, 1250, 1223, 835, 896]
