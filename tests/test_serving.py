"""``hilmix serve``: what a client gets, what it is refused, and many clients at a time."""

import asyncio
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import hilmix
from hilmix import MLP, AnnotatedClassifier, Classifier, Predictor
from hilmix.cli import main
from hilmix.predictor import Calibration
from hilmix.sockets import bind_socket
from tests.helpers import ROOT, vector_data

httpx = pytest.importorskip("httpx")
pytest.importorskip("fastapi")
from hilmix.serving import Limits, create_app  # noqa: E402  # needs the extra


def predictor_of(shape: list[int]) -> Predictor:
    torch.manual_seed(0)
    model = Classifier(2, 2, shape, backbone=MLP([8], dropout=0.0), lr=0.01)
    return Predictor(model, ("cat", "dog"), calibration=Calibration(2.0), device="cpu")


def png(colour: tuple[int, int, int], size: tuple[int, int] = (12, 9)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


def ask(predictor: Predictor, requests: Callable[["httpx.AsyncClient"], Awaitable[object]], **limits: int) -> object:
    """Send requests to the application without a network."""

    async def go() -> object:
        transport = httpx.ASGITransport(app=create_app(predictor, Limits(**limits)))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            return await requests(client)

    return asyncio.run(go())


def test_an_image_gets_calibrated_probabilities() -> None:
    predictor, body = predictor_of([3, 6, 6]), png((200, 30, 30))
    reply = ask(predictor, lambda client: client.post("/predict", content=body))
    assert reply.status_code == 200
    (found,) = reply.json()["predictions"]
    expected = predictor.predict_proba([Image.open(io.BytesIO(body))])[0]
    np.testing.assert_allclose([found["probs"]["cat"], found["probs"]["dog"]], expected, atol=1e-6)
    assert found["predicted"] == ["cat", "dog"][expected.argmax()]
    assert found["confidence"] == pytest.approx(expected.max())


def test_vectors() -> None:
    predictor, x = predictor_of([3]), [[0.0, 1.0, 2.0], [1.0, 0.0, -1.0]]
    reply = ask(predictor, lambda client: client.post("/predict", json=x))
    found = [[one["probs"]["cat"], one["probs"]["dog"]] for one in reply.json()["predictions"]]
    np.testing.assert_allclose(found, predictor.predict_proba(x), atol=1e-6)


@pytest.mark.parametrize(
    ("shape", "body", "status"),
    [
        ([3, 6, 6], b"no image", 400),
        ([3, 6, 6], b"", 400),
        ([3, 6, 6], png((1, 2, 3))[:45], 400),
        ([3, 6, 6], b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", 400),
        ([3, 6, 6], bytes(2000), 413),
        ([3], b"[[1, 2]]", 400),
        ([3], b'[["a", "b", "c"]]', 400),
        ([3], b"[[1, 2, NaN]]", 400),
        ([3], b"{", 400),
        ([3], b"[" * 900, 400),
    ],
)
def test_what_is_refused(shape: list[int], body: bytes, status: int) -> None:
    reply = ask(predictor_of(shape), lambda client: client.post("/predict", content=body), body=1000)
    assert reply.status_code == status
    assert isinstance(reply.json()["error"], str)


def test_a_body_of_unknown_length_is_cut_off() -> None:
    sent = 0

    async def endless():
        nonlocal sent
        while True:
            sent += 500
            yield bytes(500)

    reply = ask(predictor_of([3, 6, 6]), lambda client: client.post("/predict", content=endless()), body=1000)
    assert reply.status_code == 413
    assert sent < 10_000


def test_an_image_of_too_many_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hilmix.serving.MAX_PIXELS", 100)
    reply = ask(predictor_of([3, 6, 6]), lambda client: client.post("/predict", content=png((1, 2, 3))))
    assert reply.status_code == 413


def test_health_and_numbers() -> None:
    async def requests(client):
        health = await client.get("/health")
        for body in (png((1, 2, 3)), png((3, 2, 1)), b"none"):
            await client.post("/predict", content=body)
        return health.json(), (await client.get("/metrics")).text

    health, text = ask(predictor_of([3, 6, 6]), requests)
    assert health["status"] == "ok"
    assert (health["classes"], health["input_shape"], health["temperature"]) == (["cat", "dog"], [3, 6, 6], 2.0)
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert values['hilmix_requests_total{status="200"}'] == "2"
    assert values['hilmix_requests_total{status="400"}'] == "1"
    assert values["hilmix_items_total"] == "2"
    assert values["hilmix_requests_waiting"] == "0"


def test_more_at_a_time_than_may_wait() -> None:
    """Every request is answered, by its own image or by 503."""
    predictor = predictor_of([3, 6, 6])
    bodies = [png((i * 6, 255 - i * 6, 90)) for i in range(40)]

    async def requests(client):
        return await asyncio.gather(*(client.post("/predict", content=body) for body in bodies))

    replies = ask(predictor, requests, waiting=8)
    expected = predictor.predict_proba([Image.open(io.BytesIO(body)) for body in bodies])[:, 0]
    status = np.array([reply.status_code for reply in replies])
    assert set(status.tolist()) == {200, 503}
    assert (status == 200).sum() >= 8
    for place in np.flatnonzero(status == 200):
        (found,) = replies[place].json()["predictions"]
        assert found["probs"]["cat"] == pytest.approx(expected[place], abs=1e-6)


def test_a_model_without_a_temperature_is_not_served() -> None:
    model = predictor_of([3])
    with pytest.raises(hilmix.RunError, match="temperature"):
        create_app(Predictor(model.model, model.classes))


def test_the_command_under_load(tmp_path: Path) -> None:
    """``hilmix serve RUN`` in a process of its own: 300 requests of 8 clients, all answered as the loader does."""
    data = vector_data()
    run, x = tmp_path / "run", data.inputs.array
    AnnotatedClassifier("mv", epochs=1, device="cpu", random_state=0, run_dir=run).fit(x, data.annotations)
    with bind_socket("127.0.0.1", 0) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "hilmix", "serve", str(run), "--port", str(port), "--device", "cpu"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as served:
        try:
            assert served.stdout is not None
            assert served.stdout.readline().strip() == f"http://127.0.0.1:{port}/predict"
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
                _wait_for(client)
                rows = np.arange(300) % len(x)
                with ThreadPoolExecutor(8) as clients:
                    body = lambda row: json.dumps([x[row].tolist()])  # noqa: E731
                    replies = list(clients.map(lambda row: client.post("/predict", content=body(row)), rows))
                assert {reply.status_code for reply in replies} == {200}
                found = [reply.json()["predictions"][0]["probs"] for reply in replies]
        finally:
            served.send_signal(signal.SIGINT)
            assert served.wait(60) == 0
    expected = hilmix.load(run).predict_proba(x)[rows]
    np.testing.assert_allclose([[one[name] for name in "xyz"] for one in found], expected, atol=1e-6)


def _wait_for(client: "httpx.Client") -> None:
    for _ in range(600):
        try:
            client.get("/health")
            return
        except httpx.ConnectError:
            time.sleep(0.1)


@pytest.mark.parametrize("option", [["--port", "0"], ["--max-mb", "0"], ["--max-waiting", "0"], []])
def test_refusals(option: list[str], tmp_path: Path) -> None:
    assert main(["serve", str(tmp_path / "none"), *option]) == 2
