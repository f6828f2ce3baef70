import os
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from hilmix.annotations import Annotations
from hilmix.data.inputs import ArrayInputs
from hilmix.data.items import AnnotatedData
from hilmix.errors import DataError
from hilmix.human.elicit.design.build import OwnTexts, build_study
from hilmix.human.elicit.design.images import hash_data
from hilmix.human.elicit.design.manifest import MIDPOINT_TASKS, TASKS, Manifest, read_manifest
from hilmix.human.elicit.design.settings import Design
from hilmix.human.study import MixStudy, rebuild_stimuli, render_mix
from tests.human.elicit.study_data import CLASSES, N, pictures

DATA = pictures()


def built(design: Design, folder: Path | None = None, *, data: AnnotatedData = DATA, **more) -> Manifest:
    if folder is not None:
        return build_study(data, folder / "mine", design, **more)
    with TemporaryDirectory() as temporary:
        return build_study(data, Path(temporary) / "mine", design, **more)


@st.composite
def designs(draw) -> Design:
    per_batch = draw(st.integers(1, 6))
    return Design(
        tasks=tuple(draw(st.lists(st.sampled_from(TASKS), min_size=1, max_size=3, unique=True))),
        pairs=per_batch * draw(st.integers(1, 3)),
        per_batch=per_batch,
        repeats=draw(st.integers(0, per_batch)),
        catch=draw(st.integers(0, 3)),
        practice=draw(st.integers(0, 2)),
        judgments=draw(st.integers(1, 5)),
        beta=draw(st.sampled_from([None, 0.5])),
        wording=draw(st.sampled_from(["third", "first"])),
        seed=draw(st.integers(0, 2**40)),
    )


@settings(max_examples=25)
@given(designs())
def test_every_study_keeps_its_promises(design):
    study = built(design)
    assert set(study.tasks) == set(design.tasks)
    assert len(study.batches) == len(design.tasks) * design.pairs // design.per_batch
    counts = {"practice": design.practice, "main": design.per_batch, "catch": design.catch, "repeat": design.repeats}
    shown, trials = [], []
    for batch in study.batches:
        assert Counter(t.kind for t in batch.trials) == Counter(counts)
        assert len({t.of for t in batch.trials if t.of is not None}) == design.repeats
        assert len({t.stimulus for t in batch.trials}) == design.trials - design.repeats
        shown += [t.stimulus for t in batch.trials]
        trials += [t.id for t in batch.trials]
        main = [t.stimulus for t in batch.trials if t.kind == "main"]
        catch = [t.stimulus for t in batch.trials if t.kind == "catch"]
        assert not set(main) & set(catch)
        assert all(study.stimuli[s].right_weight is not None for s in catch)
        starts = {t.start for t in batch.trials if t.kind == "main"}
        assert starts == ({0.1, 0.9} if design.per_batch > 1 else {0.1}) if batch.task == "construct" else {None}
    assert set(shown) == set(range(len(study.stimuli))), "every stimulus is in a batch"
    assert sorted(trials) == list(range(len(trials)))
    for stimulus in study.stimuli:
        assert stimulus.label1 == stimulus.id1 % 3
        assert stimulus.label2 == stimulus.id2 % 3
        assert (stimulus.item1, stimulus.item2) == (f"i{stimulus.id1}", f"i{stimulus.id2}")
        assert (stimulus.weights is not None) == (stimulus.task in MIDPOINT_TASKS)
    used = Counter(i for s in study.stimuli for i in (s.id1, s.id2) if s.task == design.tasks[0])
    for k in range(3):
        of_class = [used[i] for i in range(k, N, 3)]
        assert max(of_class) - min(of_class) <= 1
    assert study.settings.target_judgments == design.judgments


@settings(max_examples=10)
@given(designs())
def test_the_same_seed_gives_the_same_study(design):
    assert built(design) == built(design)


def test_another_seed_gives_another_study_and_other_names(tmp_path):
    one, two = (built(Design(tasks=("infer",), pairs=6, per_batch=3, seed=seed)) for seed in (0, 1))
    assert one.batches != two.batches or one.stimuli != two.stimuli
    assert not {n for s in one.stimuli for n in s.images} & {n for s in two.stimuli for n in s.images}


def test_ids_of_trials_tell_neither_kind_nor_place():
    """Over many batches a trial of any kind has the same chance of the larger id beside a main one, and of any rank."""
    design = Design(tasks=("vote",), pairs=80, per_batch=2, repeats=1, catch=2, practice=1)
    batches = built(design, data=pictures(n=120)).batches
    for kind in ("practice", "catch", "repeat"):
        wins = [t.id > m.id for b in batches for t in b.trials for m in b.trials if (t.kind, m.kind) == (kind, "main")]
        # Of 40 batches, each with about one independent comparison: 4 standard deviations of the share.
        assert abs(np.mean(wins) - 0.5) < 4 * 0.5 / len(batches) ** 0.5, kind
    place, number = zip(*enumerate(t.id for b in batches for t in b.trials), strict=True)
    assert abs(np.corrcoef(place, number)[0, 1]) < 4 / len(place) ** 0.5
    others = built(Design(**(vars(design) | {"seed": 1})), data=pictures(n=120)).batches
    assert (
        sum(t.id == o.id for b, c in zip(batches, others, strict=True) for t, o in zip(b.trials, c.trials, strict=True))
        < 10
    )  # one is expected


def test_tasks_share_pairs_weights_and_files(tmp_path):
    study = built(Design(tasks=("infer", "categorical", "select"), pairs=6, per_batch=3), tmp_path)
    parts = [[s for s in study.stimuli if s.task == task] for task in ("infer", "categorical", "select")]
    pairs = [[(s.id1, s.id2) for s in part] for part in parts]
    assert pairs[0] == pairs[1] == pairs[2]
    assert [s.weight for s in parts[0]] == [s.weight for s in parts[1]]
    assert [s.images for s in parts[0]] == [s.images for s in parts[1]]
    files = {name for s in study.stimuli for name in s.images} | {one.image for one in study.examples.values()}
    assert {file.name for file in (tmp_path / "mine" / "images").iterdir()} == files


def shown(folder: Path, names: tuple[str, ...]) -> np.ndarray:
    return np.stack([np.asarray(Image.open(folder / "mine" / "images" / name)) for name in names])


@pytest.mark.parametrize("task", ["infer", "select"])
def test_pictures_are_those_that_a_mix_study_rebuilds(tmp_path, task):
    """What training on the answers will take for the pictures, from ids and weights alone, is what people saw."""
    study = built(Design(tasks=(task,), pairs=6, per_batch=6, catch=0), tmp_path)
    columns = {name: [getattr(s, name) for s in study.stimuli] for name in ("id1", "id2", "label1", "label2")}
    columns |= {"name": [f"s{s.id}" for s in study.stimuli]}
    columns |= {"weight": [s.weight for s in study.stimuli]} if task == "infer" else {}
    none = {name: [] for name in ("participant", "stimulus", "weight", "trial")}
    none |= {"confidence": []} if task == "infer" else {}
    mixes = MixStudy.build(task, classes=CLASSES, participants=["p"], num_items=N, stimuli=columns, judgments=none)
    offered = study.stimuli[0].weights or ()
    rebuilt = rebuild_stimuli(mixes, DATA.inputs.array, midpoint_weights=offered)
    for stimulus, pixels in zip(study.stimuli, rebuilt, strict=True):
        assert np.array_equal(shown(tmp_path, stimulus.images), pixels if task == "select" else pixels[None])


def test_single_images_for_votes(tmp_path):
    study = built(Design(tasks=("vote",), pairs=6, per_batch=3, weights=(1.0,)), tmp_path)
    for s in study.stimuli:
        image = DATA.inputs.array[s.id1]
        assert s.single
        assert np.array_equal(shown(tmp_path, s.images)[0], render_mix(image, image, 1.0))
    assert len({s.id1 for s in study.stimuli}) == len(study.stimuli) == 10


def test_catch_trials_of_the_midpoint_tasks_offer_one_real_mix():
    study = built(Design(tasks=("construct",), pairs=2, per_batch=2))
    catch = [study.stimuli[t.stimulus] for t in study.batches[0].trials if t.kind == "catch"]
    assert len(catch) == 2
    for stimulus in catch:
        assert len(stimulus.weights or ()) == 11
        assert stimulus.right_weight == 0.5


def test_repeats_lie_evenly_in_the_batch():
    study = built(Design(tasks=("infer",), pairs=20, per_batch=20, practice=0))
    trials = study.batches[0].trials
    assert [t.of for t in trials if t.kind == "repeat"] == [trials[6].id, trials[13].id]


def test_what_the_manifest_says_of_the_data(tmp_path):
    study = built(Design(tasks=("infer",), pairs=3, per_batch=3), tmp_path)
    rows = np.array([i for s in study.stimuli for i in (s.id1, s.id2)])
    assert study.dataset.model_dump() == {
        "name": "pictures",
        "licence": "CC0",
        "num_items": N,
        "classes": CLASSES,
        "sha256": hash_data(DATA, rows),
    }
    assert study.name == "mine"
    assert read_manifest(tmp_path / "mine") == study


def test_only_training_items_are_shown_and_votes_serve_without_targets():
    study = built(Design(tasks=("infer",), pairs=6, per_batch=6), data=pictures(split=True, votes_only=True))
    assert max(i for s in study.stimuli for i in (s.id1, s.id2)) < N // 2


def test_own_texts_are_taken_as_they_are():
    own = OwnTexts("Mine.\n\n- [ ] Yes.", {"infer": "Do."}, "C0DE")
    study = built(Design(tasks=("infer", "vote"), pairs=3, per_batch=3), own=own)
    assert (study.consent, study.completion_code) == ("Mine.\n\n- [ ] Yes.", "C0DE")
    assert study.instructions["infer"] == "Do."
    assert study.instructions["vote"].startswith("# What to do")
    with pytest.raises(DataError, match="consent has no statement"):
        built(Design(tasks=("infer",), pairs=3, per_batch=3), own=OwnTexts("Mine."))


def test_least_sure_pairs_are_shown():
    probs = np.full((N, 3), np.nan)
    probs[:30] = np.random.default_rng(0).dirichlet(np.ones(3), 30)
    study = built(Design(tasks=("infer",), pairs=6, per_batch=6), probs=probs)
    main = {t.stimulus for t in study.batches[0].trials if t.kind == "main"}
    assert max(i for s in main for i in (study.stimuli[s].id1, study.stimuli[s].id2)) < 30


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (pictures(channels=4), "are uint8 with 4 channels"),
        (pictures(n=4), "give 1 pairs, but 12 are needed.*design.pairs"),
        (
            AnnotatedData(
                "d", tuple("ab"), ArrayInputs(np.zeros((2, 3)), "vector"), Annotations.from_dense([[0], [1]])
            ),
            "hold vectors",
        ),
    ],
)
def test_data_that_will_not_do_leave_nothing_behind(tmp_path, data, message):
    with pytest.raises(DataError, match=message):
        built(Design(tasks=("infer",), pairs=30), tmp_path, data=data)
    assert not list(tmp_path.iterdir())


def test_an_existing_folder_is_kept(tmp_path):
    (tmp_path / "mine").mkdir()
    with pytest.raises(DataError, match=r"mine' exists already"):
        built(Design(tasks=("infer",), pairs=3, per_batch=3), tmp_path)
    assert [f.name for f in tmp_path.iterdir()] == ["mine"]


def test_a_disk_that_refuses_is_one_sentence(tmp_path, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(Image.Image, "save", refuse)
    with pytest.raises(DataError, match=r"Cannot write .*mine: No space left on device"):
        built(Design(tasks=("infer",), pairs=3, per_batch=3), tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_study_in_another_language_names_contact_duration_and_pay():
    own = OwnTexts(language="fr", contact="ada@example.org", minutes=9, pay="5 €", completion_url="https://example.org")
    study = built(Design(tasks=("infer",), pairs=4, per_batch=4), own=own)
    assert (study.language, study.minutes, study.pay, study.contact) == ("fr", 9, "5 €", "ada@example.org")
    assert study.words["continue"] == "Continuer"
    assert "environ 9 minutes" in study.consent.replace("\n", " ")
    assert "ada@example.org" in study.consent
    assert len(study.statements) == 3
    assert "curseur" in study.instructions["infer"]


@pytest.mark.parametrize("task", TASKS)
def test_the_example_shows_images_that_no_trial_shows(tmp_path, task):
    """Of the practice only where all images are used; its words name the classes as they are, not as Markdown."""
    names = tuple(f"*{name}* [x]" for name in CLASSES)
    data = pictures()
    votes = data.annotations
    renamed = Annotations.build(
        votes.item, votes.annotator, votes.label, num_items=N, classes=names, annotators=votes.annotators
    )
    data = AnnotatedData(name="mine", items=data.items, inputs=data.inputs, annotations=renamed, target=data.target)
    study = built(Design(tasks=(task,), pairs=2, per_batch=2, practice=0, catch=0, repeats=0), tmp_path, data=data)
    example = study.examples[task]
    assert "\\*" in example.text
    trials = {name for stimulus in study.stimuli for name in stimulus.images}
    assert example.image not in trials
    assert (tmp_path / "mine" / "images" / example.image).is_file()
