"""The released files: what is downloaded is what is read, and wrong files are refused."""

import re
import shutil
from dataclasses import replace

import pytest

from hilmix.cli import main
from hilmix.errors import DataError
from hilmix.human.study import download
from hilmix.human.study.layout import INFERENCES, LAYOUTS, SOFT_LABELS


def test_everything_that_is_read_is_downloaded_from_a_commit():
    assert {file.path for file in download.FILES} == {lay.file for lay in LAYOUTS.values()} | {INFERENCES, SOFT_LABELS}
    assert all(re.search(r"/raw/[0-9a-f]{40}/h_mix/[^/]+$", file.url) for file in download.FILES)


def test_files_that_are_there_are_checked_and_kept(real_data, tmp_path, capsys):
    for file in download.FILES:
        shutil.copy(real_data / "hmix" / file.path, tmp_path)
    assert main(["hmix", "download", str(tmp_path)]) == 0
    assert "6 files" in capsys.readouterr().out
    (tmp_path / SOFT_LABELS).write_text("[]")
    with pytest.raises(DataError, match="is not the published"):
        download.download_hmix(tmp_path)


def test_a_table_of_another_study_is_refused(real_data, tmp_path):
    for file in download.FILES:
        shutil.copy(real_data / "hmix" / file.path, tmp_path)
    table = tmp_path / LAYOUTS["construct"].file
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[:200]))
    with pytest.raises(DataError, match=r"hmix_construct_midpoint\.csv: participants"):
        download.download_hmix(tmp_path)


def test_without_a_network_it_says_what_to_do(tmp_path, capsys, monkeypatch):
    unreachable = [replace(file, url=file.url.replace("github.com", "127.0.0.1:9")) for file in download.FILES]
    verifiable = [replace(file, checksum=file.checksum or f"sha256:{'0' * 64}") for file in unreachable]
    monkeypatch.setattr(download, "FILES", tuple(verifiable))
    assert main(["hmix", "download", str(tmp_path / "new")]) == 2
    assert "place the file at" in capsys.readouterr().err
