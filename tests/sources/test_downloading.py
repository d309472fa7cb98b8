import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from singlefilter.pipeline.errors import InputError
from singlefilter.sources.downloading import check_md5, download

CONTENT = np.random.default_rng(0).bytes(10_000)
MD5 = hashlib.md5(CONTENT).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves CONTENT on this machine; each answer may be told how to go wrong."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/file.bin"
        self.answers: list[str] = []  # what each request gets, in turn; "whole" when none is left
        self.ranges: list[str | None] = []  # what each request asked for


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked = self.headers["Range"]
        self.server.ranges.append(asked)
        answer = self.server.answers.pop(0) if self.server.answers else "whole"
        if answer.isdigit():
            self.send_error(int(answer))
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and answer != "no ranges" else 0
        if start >= len(CONTENT):
            self.send_error(416)
            return
        self.send_response(206 if start else 200)
        self.send_header("Content-Type", "text/html" if answer == "page" else "application/gzip")
        if answer != "no length":
            self.send_header("Content-Length", str(len(CONTENT) - start))
        self.end_headers()
        body = CONTENT[start:]
        self.wfile.write({"half": body[: len(body) // 2], "other": body[::-1]}.get(answer, body))

    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def fetch(server: Server, folder: Path) -> list[float]:
    """Download to folder/file.bin and give the pauses."""
    pauses: list[float] = []
    download(server.url, folder / "file.bin", MD5, sleep=pauses.append)
    return pauses


def test_a_whole_file_is_fetched_once(server, tmp_path):
    assert fetch(server, tmp_path / "new") == []
    assert fetch(server, tmp_path / "new") == []
    assert (tmp_path / "new/file.bin").read_bytes() == CONTENT
    assert server.ranges == [None]
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["file.bin"]


def test_broken_transfers_are_resumed_after_growing_pauses(server, tmp_path):
    server.answers = ["half", "503", "half"]
    assert fetch(server, tmp_path) == [1, 2, 4]
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=5000-", "bytes=5000-", "bytes=7500-"]


def test_what_an_earlier_run_left_is_resumed(server, tmp_path):
    (tmp_path / "file.bin.partial").write_bytes(CONTENT[:9000])
    assert fetch(server, tmp_path) == []
    assert (tmp_path / "file.bin").read_bytes() == CONTENT
    assert server.ranges == ["bytes=9000-"]


def test_a_partial_file_that_is_already_whole_is_taken(server, tmp_path):
    (tmp_path / "file.bin.partial").write_bytes(CONTENT)
    assert fetch(server, tmp_path) == []
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_a_server_that_cannot_resume_sends_it_anew(server, tmp_path):
    (tmp_path / "file.bin.partial").write_bytes(CONTENT[:9000])
    server.answers = ["no ranges"]
    assert fetch(server, tmp_path) == []
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


def test_another_file_is_refused_and_deleted(server, tmp_path):
    server.answers = ["other"]
    with pytest.raises(InputError, match=rf"file\.bin gave another file .* the published file has {MD5}"):
        fetch(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_partial_file_of_other_content_is_refused_and_deleted(server, tmp_path):
    (tmp_path / "file.bin.partial").write_bytes(b"x" * 9000)
    with pytest.raises(InputError, match="gave another file"):
        fetch(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("answer", ["page", "no length"])
def test_a_web_page_or_an_unknown_length_is_refused_at_once(server, tmp_path, answer):
    server.answers = [answer]
    with pytest.raises(InputError, match=r"file\.bin gives a web page or no file of known length.*DATASET_MIRROR"):
        fetch(server, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_the_server_does_not_have_is_not_asked_for_again(server, tmp_path):
    server.answers = ["404"]
    with pytest.raises(InputError, match=r"file\.bin cannot be downloaded: HTTP Error 404.*DATASET_MIRROR"):
        fetch(server, tmp_path)
    assert len(server.ranges) == 1


def test_without_a_network_it_gives_up_with_the_way_out(server, tmp_path):
    server.server_close()  # nothing listens there any more
    pauses: list[float] = []
    with pytest.raises(InputError, match=r"file\.bin cannot be downloaded: .*refused.*DATASET_MIRROR"):
        download(server.url, tmp_path / "file.bin", MD5, sleep=pauses.append)
    assert pauses == [1, 2, 4, 8, 16]


def test_what_had_come_stays_when_it_gives_up(server, tmp_path):
    server.answers = ["half"] + ["503"] * 5
    with pytest.raises(InputError, match="cannot be downloaded"):
        fetch(server, tmp_path)
    assert (tmp_path / "file.bin.partial").read_bytes() == CONTENT[:5000]


def test_a_wrong_md5_says_what_the_file_is(tmp_path):
    check_md5(tmp_path / "a", b"abc", "900150983cd24fb0d6963f7d28e17f72")  # RFC 1321, A.5
    with pytest.raises(InputError, match="a is 3 bytes with the MD5 900150983cd24fb0d6963f7d28e17f72"):
        check_md5(tmp_path / "a", b"abc", MD5)
    with pytest.raises(InputError, match="b is a web page"):
        check_md5(tmp_path / "b", b"\n<!DOCTYPE html>", MD5)
