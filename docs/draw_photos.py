"""Draws small pictures of four things to try hilmix with, one sub-folder per class. They are free of rights.

python docs/draw_photos.py photos
"""

import math
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

CLASSES = ("apple", "banana", "mushroom", "tree")
PER_CLASS, SIDE, FINE = 24, 96, 4
HUES = {"apple": (350, 375), "banana": (48, 56), "mushroom": (15, 30), "tree": (95, 140)}
"""Degrees of the colour circle between which things of a class lie."""
LIGHT = (0.38, 0.3)
"""Position of the light, as a share of the side."""


def draw(kind: str, rng: np.random.Generator) -> Image.Image:
    """Returns a picture of ``SIDE`` pixels: the thing, its shadow, and a background of two colours and some noise."""
    side = SIDE * FINE
    picture = _ground(side, rng)
    scale, turn, x, y = rng.uniform(0.8, 1.05), rng.uniform(-15, 15), *rng.uniform(-0.06, 0.06, 2) * side
    turn += 180 * rng.integers(2) if kind == "banana" else 0
    parts = globals()[f"_{kind}"](rng)
    shadow = Image.new("L", (side, side))
    ImageDraw.Draw(shadow).ellipse(_box(0.5, 0.83, 0.3 * scale, 0.06), fill=120)
    picture.paste((25, 25, 30), (round(x), round(y)), shadow.filter(ImageFilter.GaussianBlur(side / 50)))
    for colour, outline in parts:
        mask = Image.new("L", (side, side))
        outline(ImageDraw.Draw(mask))
        moved = mask.rotate(turn, Image.Resampling.BICUBIC, translate=(round(x), round(y)))
        size = round(side * scale)
        small, mask = moved.resize((size, size)), Image.new("L", (side, side))
        mask.paste(small, ((side - size) // 2, (side - size) // 2))
        picture.paste(_shaded(colour, mask), (0, 0), mask.filter(ImageFilter.GaussianBlur(side / 250)))
    grain = rng.normal(0, 4, (SIDE, SIDE, 1))
    return Image.fromarray(np.clip(np.asarray(picture.resize((SIDE, SIDE))) + grain, 0, 255).astype(np.uint8))


def _ground(side: int, rng: np.random.Generator) -> Image.Image:
    far, near = (np.array(_rgb(rng.uniform(0, 360), rng.uniform(0.1, 0.35), value)) for value in (0.9, 0.65))
    share = np.linspace(0, 1, side)[:, None, None] ** rng.uniform(0.7, 2)
    return Image.fromarray((far * (1 - share) + near * share).repeat(side, 1).astype(np.uint8))


def _shaded(colour: tuple[int, int, int], mask: Image.Image) -> Image.Image:
    """The colour, lighter towards the light and darker at the edge of the mask."""
    side = mask.width
    rows, columns = np.mgrid[:side, :side] / side
    away = np.hypot(columns - LIGHT[0], rows - LIGHT[1])
    inner = np.asarray(mask.filter(ImageFilter.GaussianBlur(side / 14))) / 255
    bright = (0.55 + 0.5 * inner - 0.45 * away)[..., None]
    gloss = 70 * np.exp(-((away / 0.09) ** 2))[..., None] * inner[..., None]
    return Image.fromarray(np.clip(np.array(colour) * bright * 1.3 + gloss, 0, 255).astype(np.uint8))


def _apple(rng: np.random.Generator) -> list:
    skin = _hue("apple", rng)
    return [
        ((70, 45, 25), lambda d: d.line(_points([(0.5, 0.34), (0.53, 0.16)]), fill=255, width=11)),
        ((60, 130, 45), lambda d: d.ellipse(_box(0.62, 0.2, 0.09, 0.045), fill=255)),
        (skin, lambda d: [d.ellipse(_box(c, 0.53, 0.22, 0.27), fill=255) for c in (0.39, 0.61)]),
    ]


def _banana(rng: np.random.Generator) -> list:
    skin = _hue("banana", rng)
    angles = np.radians(np.linspace(15, 165, 30))
    outer = [(0.5 + 0.38 * math.cos(a), 0.28 + 0.44 * math.sin(a)) for a in angles]
    inner = [(0.5 + 0.34 * math.cos(a), 0.27 + 0.24 * math.sin(a)) for a in angles[::-1]]
    ends = [_box(x, 0.385, 0.025, 0.03) for x in (0.14, 0.86)]
    return [
        (skin, lambda d: d.polygon(_points(outer + inner), fill=255)),
        ((75, 60, 30), lambda d: [d.ellipse(end, fill=255) for end in ends]),
    ]


def _mushroom(rng: np.random.Generator) -> list:
    cap = _hue("mushroom", rng)
    spots = [_box(x, y, 0.045, 0.03) for x, y in ((0.36, 0.36), (0.52, 0.27), (0.66, 0.38), (0.47, 0.41))]
    return [
        ((235, 225, 205), lambda d: d.rounded_rectangle(_box(0.5, 0.63, 0.1, 0.2), radius=35, fill=255)),
        (cap, lambda d: d.chord(_box(0.5, 0.48, 0.36, 0.32), 180, 360, fill=255)),
        ((340, 325, 300), lambda d: [d.ellipse(spot, fill=255) for spot in spots]),
    ]


def _tree(rng: np.random.Generator) -> list:
    leaves = _hue("tree", rng)
    crown = [
        _box(x, y, r, r) for x, y, r in ((0.5, 0.27, 0.17), (0.35, 0.42, 0.16), (0.64, 0.42, 0.17), (0.5, 0.45, 0.17))
    ]
    return [
        ((95, 65, 40), lambda d: d.polygon(_points([(0.46, 0.5), (0.54, 0.5), (0.57, 0.83), (0.43, 0.83)]), fill=255)),
        (leaves, lambda d: [d.ellipse(box, fill=255) for box in crown]),
    ]


def _hue(kind: str, rng: np.random.Generator) -> tuple[int, int, int]:
    return _rgb(rng.uniform(*HUES[kind]), rng.uniform(0.65, 0.85), rng.uniform(0.75, 0.95))


def _rgb(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    pixel = Image.new("HSV", (1, 1), (round(hue % 360 / 360 * 255), round(saturation * 255), round(value * 255)))
    red, green, blue = pixel.convert("RGB").getpixel((0, 0))
    return red, green, blue


def _points(shares: list) -> list:
    return [(x * SIDE * FINE, y * SIDE * FINE) for x, y in shares]


def _box(x: float, y: float, across: float, down: float) -> list:
    return _points([(x - across, y - down), (x + across, y + down)])


def draw_all(folder: Path) -> None:
    """Writes ``PER_CLASS`` pictures of each class, always the same."""
    for number, kind in enumerate(CLASSES):
        (folder / kind).mkdir(parents=True)
        for i in range(PER_CLASS):
            draw(kind, np.random.default_rng([number, i])).save(folder / kind / f"{i:02}.png")


if __name__ == "__main__":
    draw_all(Path(sys.argv[1]))
