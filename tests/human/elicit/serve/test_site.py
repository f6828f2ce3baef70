"""Several studies on one server, and a preview that keeps nothing."""

from pathlib import Path

import pytest
from starlette.testclient import TestClient

from hilmix.errors import ConfigError
from hilmix.human.elicit.serve.app import create_app
from hilmix.human.elicit.serve.site import create_site, name_paths
from tests.human.elicit.studies import STATUS_TOKEN, TOKEN, answer_all, make_study, post, submission


@pytest.fixture
def site(tmp_path: Path):
    paths = name_paths([make_study(tmp_path / name, task) for name, task in (("a", "infer"), ("b", "vote"))])
    apps = {path: create_app(folder, study_token=TOKEN, status_token=STATUS_TOKEN) for path, folder in paths.items()}
    with TestClient(create_site(apps)) as client:
        yield client


def test_each_study_has_its_own_pages_answers_and_links(site):
    for path, task in (("/a", "infer"), ("/b", "vote")):
        place = site.get(f"{path}/join/{TOKEN}", follow_redirects=False).headers["location"]
        assert place.startswith(f"{path}/p/")
        assert 'src="../static/app.js"' in site.get(place).text
        me = f"{path}/api{place.removeprefix(path)}"
        post(site, f"{me}/consent", {"accepted": True})
        post(site, f"{me}/instructions", {"read": True})
        state = post(site, f"{me}/check", {"answers": [1]})
        assert state["task"] == task
        assert site.get(path + state["trial"]["images"][0]).status_code == 200
        assert post(site, f"{me}/answers", submission(state))["state"]["progress"]["total"] > 1
        # Nothing of one study is found in the other.
        other = "/b" if path == "/a" else "/a"
        assert site.get(me.replace(path, other, 1)).status_code == 404
        assert len(site.get(f"{path}/api/status/{STATUS_TOKEN}").json()["participants"]) == 1
    assert site.get("/a/static/app.js").status_code == 200


def test_a_wrong_address_is_a_page_that_names_no_study(site):
    reply = site.get("/nowhere", headers={"accept": "text/html"})
    assert (reply.status_code, "This link does not work" in reply.text) == (404, True)
    assert "default-src 'none'" in reply.headers["content-security-policy"]


def test_folders_need_different_names_that_links_can_hold(tmp_path):
    assert name_paths([tmp_path / "any name"]) == {"": tmp_path / "any name"}
    for names in (("a", "x/a"), ("a", "b c"), ("a", "é")):
        with pytest.raises(ConfigError, match="different names"):
            name_paths([tmp_path / name for name in names])


def test_a_preview_leaves_no_trace_in_the_study(tmp_path):
    folder, elsewhere = make_study(tmp_path / "study"), tmp_path / "preview"
    elsewhere.mkdir()
    before = sorted(file.name for file in folder.iterdir())
    app = create_app(folder, study_token=TOKEN, status_token=STATUS_TOKEN, preview=elsewhere)
    with TestClient(app) as client:
        place = client.get(f"/join/{TOKEN}", follow_redirects=False).headers["location"]
        assert 'class="preview"' in client.get(place).text
        me = f"/api{place}"
        post(client, f"{me}/consent", {"accepted": True})
        post(client, f"{me}/instructions", {"read": True})
        answer_all(client, me, post(client, f"{me}/check", {"answers": [1]}))
        assert client.get(f"/api/status/{STATUS_TOKEN}").json()["participants"][0]["phase"] == "survey"
    assert sorted(file.name for file in folder.iterdir()) == before
    # Texts may be changed still: nothing binds them.
    study = folder / "study.json"
    study.write_text(study.read_text().replace("Thanks!", "Thank you!"))
    create_app(folder, study_token=TOKEN, status_token=STATUS_TOKEN).state.context.store.close()
