"""The README's picture, from a run of the demo (its digits may be shown: CC BY 4.0).

make demo && .venv/bin/python docs/make_images.py runs/demo
"""

import sys
from pathlib import Path

from PIL import Image

run = Path(sys.argv[1])
figures = [Image.open(run / name).convert("RGB") for name in ("reliability_test.png", "annotators.png")]
width = 1400
scaled = [
    figure.resize((width, round(figure.height * width / figure.width)), Image.Resampling.LANCZOS) for figure in figures
]
sheet = Image.new("RGB", (width, sum(figure.height for figure in scaled)), "white")
top = 0
for figure in scaled:
    sheet.paste(figure, (0, top))
    top += figure.height
sheet.quantize(128).save(Path(__file__).parent / "images" / "demo.png", optimize=True)
