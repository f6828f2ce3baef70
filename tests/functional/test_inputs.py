"""From stored bytes to what a network reads."""

import pytest
import torch

from hilmix.functional.inputs import as_float, normalise


def test_bytes_become_shares_of_255_and_the_source_stays() -> None:
    x = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    out = as_float(x)
    assert out.dtype == torch.float32
    torch.testing.assert_close(out.flatten(), torch.arange(256) / 255)
    assert torch.equal(x.flatten(), torch.arange(256, dtype=torch.uint8))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.float64])
def test_floats_pass_through_untouched(dtype: torch.dtype) -> None:
    x = torch.randn(3, 2, dtype=dtype)
    assert as_float(x) is x


@pytest.mark.parametrize("shape", [(5, 3), (5, 3, 4, 2)])
def test_normalise_per_channel_or_feature(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, dtype=torch.float64)
    mean, std = torch.tensor([1.0, -2.0, 0.5]), torch.tensor([2.0, 0.5, 1.0])
    out = normalise(x, mean, std)
    for c in range(3):
        torch.testing.assert_close(out[:, c], (x[:, c] - mean[c].item()) / std[c].item())


def test_normalised_data_have_mean_zero_and_std_one() -> None:
    x = torch.randn(50, 3, 6, 6, dtype=torch.float64) * 7 + 3
    out = normalise(x, x.mean((0, 2, 3)), x.std((0, 2, 3), correction=0))
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(out.std((0, 2, 3), correction=0), torch.ones(3, dtype=torch.float64))
