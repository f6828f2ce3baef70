"""A trained model as a web service: calibrated probabilities of an image or of vectors, its health and its numbers."""

import asyncio
import io
import json
import time
import warnings
from typing import Any, NamedTuple

import numpy as np
from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse, PlainTextResponse
from PIL import Image

import hilmix
from hilmix.data.pictures import WIDE_MODES
from hilmix.errors import HilmixError
from hilmix.predictor import Predictor

__all__ = ["Limits", "create_app"]
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
"""Of images, as Pillow names them."""
MAX_PIXELS = 50_000_000
"""Of one image: 150 MB once it is decoded."""
BODY_SECONDS = 30.0
"""In which a whole body must come."""
_DAMAGE = (OSError, SyntaxError, ValueError, TypeError, LookupError, ArithmeticError, RuntimeError, EOFError)
"""Exceptions of Pillow's decoders for what is no image."""


class RefusedError(Exception):
    """A request that is answered with a status and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Limits(NamedTuple):
    """Limits of a service."""

    body: int = 10 * 2**20
    """Bytes of a request."""
    waiting: int = 32
    """Requests that are held at a time; further ones are answered with 503."""


class Numbers:
    """Counts of a running service, in the text format of Prometheus."""

    def __init__(self) -> None:
        self.replies: dict[int, int] = {}
        self.items, self.seconds = 0, 0.0

    def text(self, waiting: int) -> str:
        """Returns all numbers.

        Args:
            waiting: requests that are held now.
        """
        lines = ["# TYPE hilmix_requests_total counter"]
        lines += [f'hilmix_requests_total{{status="{code}"}} {n}' for code, n in sorted(self.replies.items())]
        lines += ["# TYPE hilmix_items_total counter", f"hilmix_items_total {self.items}"]
        lines += ["# TYPE hilmix_model_seconds_total counter", f"hilmix_model_seconds_total {self.seconds:.6f}"]
        lines += ["# TYPE hilmix_requests_waiting gauge", f"hilmix_requests_waiting {waiting}"]
        return "\n".join(lines) + "\n"


def create_app(predictor: Predictor, limits: Limits = Limits()) -> FastAPI:  # noqa: B008  # immutable
    """Returns the application: ``POST /predict``, ``GET /health`` and ``GET /metrics``.

    ``/predict`` takes the bytes of one image, or of a model of vectors a JSON list of B lists of D numbers, and returns
    ``{"predictions": [{"predicted": NAME, "confidence": P, "probs": {NAME: P, ...}}]}``. What is refused is
    ``{"error": SENTENCE}`` with 400 (no image, no such vectors), 408, 413 (too large) or 503 (too many at a time).

    Args:
        predictor: the model, with its temperature.
        limits: of requests.
    """
    predictor.temperature  # noqa: B018  # a model without one is refused now, not with the first request
    # Neither documentation pages, which load scripts from another site, nor telemetry.
    app = FastAPI(
        title="hilmix",
        version=hilmix.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    numbers, held = Numbers(), [0]
    one_at_a_time = asyncio.Lock()  # torch has all cores for one batch; two at a time only wait for each other

    @app.post("/predict")
    async def predict(request: Request) -> JSONResponse:
        # Refused at once: a queue without an end answers all too late and fills the memory with bodies.
        if held[0] >= limits.waiting:
            return _reply(numbers, 503, {"error": "Too many requests at a time. Try again."}, {"retry-after": "1"})
        held[0] += 1
        try:
            body = await _read_body(request, limits.body)
            # Decoding in a thread, as a large image would otherwise stop the loop, and with it /health.
            x = await run_in_threadpool(_decode, body, images=len(predictor.input_shape) == 3)
            async with one_at_a_time:
                start = time.perf_counter()
                probs = await run_in_threadpool(predictor.predict_proba, x)
                numbers.seconds += time.perf_counter() - start
        except RefusedError as refused:
            return _reply(numbers, refused.status, {"error": str(refused)})
        except HilmixError as error:
            return _reply(numbers, 400, {"error": str(error)})
        finally:
            held[0] -= 1
        numbers.items += len(probs)
        return _reply(numbers, 200, {"predictions": [_prediction(predictor.classes, row) for row in probs]})

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return {
            "status": "ok",
            "classes": list(predictor.classes),
            "input_shape": list(predictor.input_shape),
            "temperature": predictor.temperature,
            "version": hilmix.__version__,
        }

    @app.get("/metrics")
    async def metrics() -> PlainTextResponse:
        return PlainTextResponse(numbers.text(held[0]))

    return app


def _reply(numbers: Numbers, status: int, content: Any, headers: dict[str, str] | None = None) -> JSONResponse:
    numbers.replies[status] = numbers.replies.get(status, 0) + 1
    return JSONResponse(content, status, headers)


def _prediction(classes: tuple[str, ...], probs: np.ndarray) -> dict[str, Any]:
    best = int(probs.argmax())
    named = dict(zip(classes, map(float, probs), strict=True))
    return {"predicted": classes[best], "confidence": float(probs[best]), "probs": named}


async def _read_body(request: Request, limit: int) -> bytes:
    """The body, as long as it is within the limit: announced or not, no more of it is kept."""
    too_large = RefusedError(413, f"The request is larger than {limit / 2**20:g} MB.")
    announced = request.headers.get("content-length", "0")
    # What is announced saves reading it, but is not believed: the bytes are counted as well.
    if announced.isdecimal() and int(announced) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > limit:
                    raise too_large
    except TimeoutError:
        raise RefusedError(408, f"The request took longer than {BODY_SECONDS:g} s to arrive.") from None
    return bytes(body)


def _decode(body: bytes, *, images: bool) -> Any:
    return [_decode_image(body)] if images else _decode_vectors(body)


def _decode_image(body: bytes) -> Image.Image:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of odd metadata; what does not decode raises
            # The listed formats only: Pillow knows decoders that run programs, and many that few have tested.
            picture = Image.open(io.BytesIO(body), formats=FORMATS)
            # By the header, before anything is decoded: a small file can stand for gigabytes of pixels.
            if picture.width * picture.height > MAX_PIXELS:
                raise RefusedError(413, f"The image has more than {MAX_PIXELS:,} pixels.")
            if picture.mode in WIDE_MODES:
                raise RefusedError(400, f"The image has more than 8 bits per channel (mode {picture.mode}).")
            picture.load()
    except Image.DecompressionBombError:
        raise RefusedError(413, f"The image has more than {MAX_PIXELS:,} pixels.") from None
    except _DAMAGE:
        raise RefusedError(400, f"The body is no image of the formats {', '.join(FORMATS)}.") from None
    return picture


def _decode_vectors(body: bytes) -> np.ndarray:
    try:
        found = np.asarray(json.loads(body), dtype=np.float32)
    except (ValueError, TypeError, RecursionError):
        raise RefusedError(400, "The body is no JSON list of vectors, such as [[0.5, 1.0]].") from None
    return found
