"""The shipped policy is what a fit to the data gives."""

import pytest
import torch

from hilmix.human.functional.image_statistics import image_statistics
from hilmix.human.perception import HMixPerception, LearnedPerception, Mixes, Perception


def test_it_is_saved_by_name(tmp_path) -> None:
    HMixPerception().save(tmp_path / "p.json")
    assert "image_weights" not in (tmp_path / "p.json").read_text()
    assert isinstance(Perception.load(tmp_path / "p.json"), HMixPerception)


def test_colourful_detail_shows_through_and_the_mirror_image_agrees() -> None:
    noise = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    grey = torch.full((1, 3, 32, 32), 0.5)
    cat = torch.eye(10)[3:4]
    mix = Mixes(cat, cat, torch.tensor([0.4]), features1=image_statistics(noise), features2=image_statistics(grey))
    policy = HMixPerception()
    assert policy.mean_share(mix) > 0.5
    torch.testing.assert_close(policy.mean_share(mix.swap()), 1 - policy.mean_share(mix))


def test_the_constants_are_the_fit_to_h_mix(real_data) -> None:
    from hilmix.data.sources import cifar10
    from hilmix.data.sources.base import Access
    from hilmix.human.study import read_study

    images = torch.from_numpy(Access(real_data, real_data).read(cifar10.TEST).images).permute(0, 3, 1, 2).float() / 255
    judged = read_study(real_data / "hmix", "infer").without_repeats().to_judgments()
    fitted = LearnedPerception.fit(judged, features=image_statistics(images)).spec()["init_args"]
    shipped = HMixPerception()
    for name in ("strengths", "slope", "image_weights", "confidence_weights"):
        torch.testing.assert_close(getattr(shipped, name), torch.tensor(fitted[name]), rtol=2e-3, atol=2e-3)
    assert shipped.line == pytest.approx(fitted["confidence"], abs=2e-3)
    assert shipped.dispersion == pytest.approx(fitted["dispersion"], abs=1e-3)
