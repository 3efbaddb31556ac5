from __future__ import annotations

import torch

from benchmarks.training.augment import cut_out, draw, draw_centres, flip_and_crop, normalise
from benchmarks.training.recipe import Recipe


def _generators(seed: int) -> tuple[torch.Generator, torch.Generator]:
    return torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed + 1)


def test_the_gather_is_flip_then_pad_then_crop() -> None:
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(1, 255, (40, 3, 6, 5), generator=generator, dtype=torch.uint8)
    offsets = torch.randint(0, 5, (40, 2), generator=generator)
    flips = torch.rand(40, generator=generator) < 0.5
    result = flip_and_crop(images, flips, offsets, 2)
    for image, flip, (row, column), answer in zip(images, flips, offsets, result, strict=True):
        turned = image.flip(2) if flip else image
        padded = torch.nn.functional.pad(turned, (2, 2, 2, 2))
        assert torch.equal(answer, padded[:, row : row + 6, column : column + 5])
    assert flips.any()
    assert not flips.all()


def test_without_padding_and_flips_nothing_changes() -> None:
    images = torch.randint(0, 255, (9, 1, 8, 8), generator=torch.Generator(), dtype=torch.uint8)
    draws = draw(9, Recipe(flip=False, crop_padding=0), *_generators(1))
    assert torch.equal(flip_and_crop(images, draws.flips, draws.offsets, 0), images)


def test_draws_cover_every_offset_both_flips_and_every_image_once() -> None:
    draws = draw(3000, Recipe(crop_padding=2), *_generators(3))
    assert torch.equal(draws.order.sort().values, torch.arange(3000))
    assert draws.offsets.unique(dim=0).tolist() == [[row, column] for row in range(5) for column in range(5)]
    assert 0.45 < draws.flips.float().mean() < 0.55
    assert not draw(3000, Recipe(flip=False), *_generators(3)).flips.any()


def test_the_order_does_not_depend_on_the_augmentation() -> None:
    plain = draw(50, Recipe(flip=False, crop_padding=0), *_generators(3))
    rich = draw(50, Recipe(), *_generators(3))
    assert torch.equal(plain.order, rich.order)


def test_normalise_takes_mean_and_deviation_out_of_each_channel() -> None:
    pixels = torch.randint(0, 256, (200, 3, 4, 4), generator=torch.Generator(), dtype=torch.uint8)
    mean, std = pixels.float().mean((0, 2, 3)), pixels.float().std((0, 2, 3))
    result = normalise(pixels, mean, std)
    assert result.dtype == torch.float32
    assert torch.allclose(result.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(result.std((0, 2, 3)), torch.ones(3), atol=1e-5)


def test_a_square_about_its_centre_is_blanked_and_clipped_at_the_border() -> None:
    images = torch.ones(3, 2, 9, 7)
    centres = torch.tensor([[4, 3], [0, 0], [8, 6]])
    blank = cut_out(images, centres, 4) == 0
    assert [[*map(torch.Tensor.tolist, one[0].nonzero().unbind(1))] for one in blank] == [
        [[row for row in rows for _ in columns], [column for _ in rows for column in columns]]
        for rows, columns in ((range(2, 6), range(1, 5)), (range(2), range(2)), (range(6, 9), range(4, 7)))
    ]
    assert torch.equal(blank[:, 0], blank[:, 1]), "every channel"
    assert int((cut_out(images, centres, 3)[0] == 0).sum()) == 2 * 3 * 3, "odd sides keep their size"


def test_centres_are_uniform_over_the_image() -> None:
    centres = draw_centres(8000, 8, torch.Generator().manual_seed(3))
    counts = torch.bincount(centres[:, 0] * 8 + centres[:, 1], minlength=64)
    assert counts.min() > 80
    assert counts.max() < 180
