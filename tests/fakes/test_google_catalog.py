"""Models, embeddings, video; the fake as a process."""

import math
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.fakes.conftest import KEY
from tests.fakes.google import FakeGoogle
from tests.fakes.google_models import PUBLIC_MODELS

HEADERS = {"x-goog-api-key": KEY}


def test_models_come_in_pages(fake, http):
    names, token = [], ""
    while token is not None:
        query = {"pageSize": 5, "pageToken": token}
        page = http.get("/v1beta/models", params=query, headers=HEADERS).json()
        assert len(page["models"]) <= 5
        names += [model["name"] for model in page["models"]]
        token = page.get("nextPageToken")
    assert names == [f"models/{name}" for name in PUBLIC_MODELS]
    whole = http.get("/v1beta/models", headers=HEADERS).json()
    assert "nextPageToken" not in whole
    assert http.get("/v1beta/models", params={"pageToken": "x"}, headers=HEADERS).status_code == 400
    assert http.get("/v1beta/models").status_code == 403


def test_one_model(fake, http):
    model = http.get("/v1beta/models/gemini-2.5-pro", headers=HEADERS).json()
    assert model["thinking"] is True
    assert "generateContent" in model["supportedGenerationMethods"]
    assert http.get("/v1beta/models/gemini-9", headers=HEADERS).status_code == 404


def embed(http, method="embedContent", **body):
    return http.post(f"/v1beta/models/gemini-embedding-001:{method}", json=body, headers=HEADERS)


def content(text):
    return {"parts": [{"text": text}]}


def test_one_embedding(fake, http):
    values = embed(http, content=content("hello")).json()["embedding"]["values"]
    assert len(values) == 3072
    assert math.isclose(sum(value * value for value in values), 1, rel_tol=1e-6)
    small = embed(http, content=content("hello"), outputDimensionality=256).json()
    assert small["embedding"]["values"] == values[:256]
    assert embed(http, content=content("other")).json()["embedding"]["values"] != values
    for bad in (
        {},
        {"content": {"parts": []}},
        {"content": content("a"), "taskType": "GUESSING"},
        {"content": content("a"), "outputDimensionality": 4000},
        {"content": content("a"), "model": "gemini-embedding-001"},
        {"content": content("a"), "foo": 1},
    ):
        assert embed(http, **bad).status_code == 400


def test_who_embeds_pictures(fake, http):
    blob = {"inlineData": {"mimeType": "image/png", "data": "AAAA"}}
    body = {"content": {"parts": [blob]}}
    assert embed(http, **body).status_code == 400
    path = "/v1beta/models/gemini-embedding-2:embedContent"
    assert http.post(path, json=body, headers=HEADERS).status_code == 200


def test_many_embeddings_each_name_the_model(fake, http):
    model = "models/gemini-embedding-001"
    requests = [{"model": model, "content": content(text)} for text in "abc"]
    answer = embed(http, "batchEmbedContents", requests=requests).json()["embeddings"]
    alone = embed(http, content=content("b")).json()["embedding"]
    assert answer[1] == alone
    assert len(answer) == 3
    del requests[1]["model"]
    assert embed(http, "batchEmbedContents", requests=requests).status_code == 400
    assert embed(http, "batchEmbedContents", requests=[]).status_code == 400
    chat = http.post("/v1beta/models/gemini-2.5-pro:embedContent", json={}, headers=HEADERS)
    assert chat.status_code == 404


def test_video_is_ready_at_the_second_poll_and_bound_to_its_key(fake, http):
    body = {"instances": [{"prompt": "waves"}], "parameters": {"aspectRatio": "16:9"}}
    path = "/v1beta/models/veo-3.1-generate-preview:predictLongRunning"
    name = http.post(path, json=body, headers=HEADERS).json()["name"]
    fake.add_api_key("second")
    assert http.get(f"/v1beta/{name}", headers={"x-goog-api-key": "second"}).status_code == 404
    assert "done" not in http.get(f"/v1beta/{name}", headers=HEADERS).json()
    done = http.get(f"/v1beta/{name}", headers=HEADERS).json()
    assert done["done"] is True
    (sample,) = done["response"]["generateVideoResponse"]["generatedSamples"]
    video = http.get(sample["video"]["uri"], headers=HEADERS, follow_redirects=True)
    assert video.headers["content-type"] == "video/mp4"
    assert len(video.history) == 1
    assert http.get(sample["video"]["uri"], headers={"x-goog-api-key": "second"}).status_code == 403
    assert http.post(path, json={"instances": []}, headers=HEADERS).status_code == 400


def test_predict_is_gone_and_other_paths_are_html(fake, http):
    gone = http.post("/v1beta/models/imagen-4:predict", json={"instances": []}, headers=HEADERS)
    assert gone.json()["error"]["status"] == "NOT_FOUND"
    nowhere = http.get("/v2/nothing")
    assert nowhere.status_code == 404
    assert nowhere.headers["content-type"].startswith("text/html")


def test_a_port_already_taken_is_an_error(fake):
    port = int(fake.url.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="in use"), FakeGoogle.running(port=port):
        pass


def test_stopping_does_not_count_as_a_client_that_left():
    with FakeGoogle.running() as fake:
        fake.add_api_key(KEY)
        fake.script("silence")
        path = f"{fake.url}/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse&key={KEY}"
        body = {"contents": [{"parts": [{"text": "x"}]}]}
        client = httpx.Client(verify=False)
        response = client.send(client.build_request("POST", path, json=body), stream=True)
    assert response.status_code == 200
    assert not fake.calls()[0].disconnected
    client.close()


def test_as_a_process():
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "tests.fakes.google", "--port", "0", "--api-key", "k"]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        url = process.stdout.readline().strip()
        answer = httpx.get(f"{url}/v1beta/models/gemini-2.5-pro?key=k")
        calls = httpx.get(f"{url}/_fake/requests").json()["requests"]
        process.terminate()
    assert answer.status_code == 200
    assert [call["credential"] for call in calls] == ["k"]
