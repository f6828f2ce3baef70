"""The display renderer: the released expression to the pixel, and close to what training mixes."""

import numpy as np
import pytest
import torch
from hypothesis import example, given, strategies as st
from hypothesis.extra import numpy as arrays

from hilmix.data.sources import Access, cifar10
from hilmix.errors import DataError
from hilmix.functional.mixing import mix_rows
from hilmix.human.study import MIDPOINT_WEIGHTS, read_study, rebuild_stimuli, render_mix
from tests.human.study.synthetic import invent

IMAGES = arrays.arrays(np.uint8, (2, 4, 4, 3))
WEIGHTS = st.floats(0, 1)


def slow_render(image1, image2, weight):
    """Pixel by pixel, in Python's own float64."""
    pixels = zip(image1.ravel().tolist(), image2.ravel().tolist(), strict=True)
    shown = [int(((weight * a + (1 - weight) * b) / 255) * 255) for a, b in pixels]
    return np.array(shown, dtype=np.uint8).reshape(image1.shape)


@given(IMAGES, WEIGHTS)
def test_render_is_the_released_expression(images, weight):
    found = render_mix(images[0], images[1], weight)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, slow_render(images[0], images[1], weight))


@given(IMAGES)
def test_the_ends_are_the_images_themselves(images):
    np.testing.assert_array_equal(render_mix(images[0], images[1], 1.0), images[0])
    np.testing.assert_array_equal(render_mix(images[0], images[1], 0.0), images[1])


@given(IMAGES, arrays.arrays(np.float64, 5, elements=WEIGHTS))
def test_many_at_once_are_each_alone(images, weights):
    found = render_mix(images[0], images[1], weights)
    np.testing.assert_array_equal(found, np.stack([render_mix(images[0], images[1], w) for w in weights]))


def training_mix(images, weight, dtype):
    """(H, W, C) float64: the first image mixed with the second by the code that training uses."""
    share = torch.tensor([weight, 1 - weight], dtype=dtype)
    return mix_rows(torch.from_numpy(images).to(dtype), torch.tensor([1, 0]), share)[0].double().numpy()


@given(IMAGES, WEIGHTS)
@example(np.full((2, 4, 4, 3), 101, dtype=np.uint8), 0.3)  # the display is a rounding short of the whole number
def test_the_display_lies_at_most_a_grey_level_below_the_training_mix(images, weight):
    shown = render_mix(images[0], images[1], weight)
    for dtype, rounding in ((torch.float64, 1e-10), (torch.float32, 1e-4)):
        mixed = training_mix(images, weight, dtype)
        below = mixed - shown
        assert -rounding < below.min() <= below.max() < 1 + rounding
        fractional = np.abs(mixed - np.rint(mixed)) > rounding
        assert (below[fractional] < 1).all()


@pytest.mark.parametrize("task", ["infer", "categorical", "select", "construct"])
def test_a_study_is_rebuilt_from_its_own_images(task):
    study = invent(task, 1, num_items=50)
    images = np.random.default_rng(0).integers(0, 256, (50, 5, 7, 3), dtype=np.uint8)
    found = rebuild_stimuli(study, images)
    shown, last = study.stimuli, len(study.stimuli) - 1
    a, b = images[shown.id1[last]], images[shown.id2[last]]
    if task in ("infer", "categorical"):
        assert found.shape == (last + 1, 5, 7, 3)
        np.testing.assert_array_equal(found[last], slow_render(a, b, float(shown.weight[last])))
    else:
        assert found.shape == (last + 1, 11, 5, 7, 3)
        np.testing.assert_array_equal(found[last, 3], slow_render(a, b, 0.1 + 0.1 + 0.1))  # 0.30000000000000004
        np.testing.assert_array_equal(
            rebuild_stimuli(study, images, midpoint_weights=[0.5])[last, 0], slow_render(a, b, 0.5)
        )


def test_another_set_of_images_is_refused():
    with pytest.raises(DataError, match=r"images must be the 50 .*got 49"):
        rebuild_stimuli(invent("infer", 1), np.zeros((49, 2, 2, 3), dtype=np.uint8))


@pytest.fixture(scope="module")
def images(real_data, tmp_path_factory):
    access = Access(tmp_path_factory.mktemp("downloads"), real_data)
    return access.read(cifar10.TEST).images


@pytest.fixture(scope="module")
def stored(real_data):
    """Image, by the name of the mix, or by pair and place on the grid."""
    with np.load(real_data / "hmix" / "stimuli.npz") as archive:
        return {key: archive[key] for key in archive.files}


def test_all_stored_stimuli_are_rebuilt_pixel_for_pixel(stored, images):
    assert len(stored["image"]) == 4_809
    of_pairs = ~np.strings.startswith(stored["name"], "mixed_")
    assert of_pairs.sum() == 249 * 11
    on_grid = MIDPOINT_WEIGHTS[np.rint(stored["lam"] * 10).astype(int) * of_pairs]  # stored without the float noise
    found = render_mix(images[stored["id1"]], images[stored["id2"]], np.where(of_pairs, on_grid, stored["lam"]))
    np.testing.assert_array_equal(found, stored["image"])


def test_the_released_mixes_lie_at_most_a_grey_level_below_what_training_mixes(images, real_data):
    study = read_study(real_data / "hmix", "infer")
    shown, size = study.stimuli, len(study.stimuli)
    both = torch.from_numpy(images[np.concatenate([shown.id1, shown.id2])]).double()
    partner, weight = torch.arange(2 * size).roll(size), torch.tensor(np.tile(shown.weight, 2))
    below = mix_rows(both, partner, weight)[:size].numpy() - rebuild_stimuli(study, images)
    assert -1e-10 < below.min() <= below.max() < 1 + 1e-10
    assert 0.3 < below.mean() < 0.5
    assert 1_700 < 1 / (below > 1 - 1e-9).mean() < 1_900  # a whole level, where a whole number came out short of itself


@pytest.mark.parametrize("task", ["infer", "categorical"])
def test_the_released_mixes_are_rebuilt_from_the_study(stored, images, real_data, task):
    study = read_study(real_data / "hmix", task)
    place = {name: i for i, name in enumerate(stored["name"].tolist())}
    expected = stored["image"][[place[name] for name in study.stimuli.name]]
    np.testing.assert_array_equal(rebuild_stimuli(study, images), expected)


@pytest.mark.parametrize("task", ["construct", "select"])
def test_the_released_pairs_are_rebuilt_from_the_study(stored, images, real_data, task):
    study = read_study(real_data / "hmix", task)
    place = {name: i for i, name in enumerate(stored["name"].tolist())}
    grid = [f"{step / 10}.png" for step in range(11)]
    expected = stored["image"][[[place[f"{name}_{weight}"] for weight in grid] for name in study.stimuli.name]]
    np.testing.assert_array_equal(rebuild_stimuli(study, images), expected)
    assert len(MIDPOINT_WEIGHTS) == 11
