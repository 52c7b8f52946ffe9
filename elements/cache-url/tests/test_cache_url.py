"""Downloads that are kept, against a server of our own."""

import email.utils
import http.server
import os
import threading
from pathlib import Path

import pytest

MODIFIED = 1_000_000_000


class Server(http.server.BaseHTTPRequestHandler):
    """Answers /file with what `content` holds, /missing with 404, /broken with 403."""

    content = b"first"
    seen: list = []  # noqa: RUF012

    def do_GET(self):
        self.seen.append(dict(self.headers))
        since = self.headers.get("If-Modified-Since")
        if self.path == "/file" and since and email.utils.parsedate_to_datetime(since).timestamp() >= MODIFIED:
            return self.answer(304)
        return self.answer({"/file": 200, "/missing": 404}.get(self.path, 403))

    def answer(self, status):
        self.send_response(status)
        self.send_header("Last-Modified", email.utils.formatdate(MODIFIED, usegmt=True))
        body = self.content if status == 200 else b""
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    Server.seen.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()


@pytest.fixture
def cache_url(fake_root, element, commands):
    commands.real("curl")
    tool = element("cache-url")
    return lambda *words: tool.run_with("bin/cache-url", *map(str, words), network=True)


@pytest.mark.proves("cache-url", how="real run")
@pytest.mark.contract("C-268")
def test_a_file_is_downloaded_once(cache_url, server, fake_root):
    target = fake_root.base / "cache/deep/file"
    assert cache_url(f"{server}/file", target).ok
    assert target.read_bytes() == b"first"
    assert target.stat().st_mtime == MODIFIED
    assert target.stat().st_mode & 0o777 == 0o644
    inode = target.stat().st_ino
    run = cache_url(f"{server}/file", target)
    assert run.ok and run.output.endswith("has not changed\n")
    assert target.stat().st_ino == inode
    assert [entry.name for entry in target.parent.iterdir()] == ["file"]


def test_what_is_older_here_is_downloaded_again(cache_url, server, fake_root):
    target = fake_root.base / "cache/file"
    target.write_text("old")
    os.utime(target, (MODIFIED - 10, MODIFIED - 10))
    assert cache_url(f"{server}/file", target).ok
    assert target.read_bytes() == b"first"


@pytest.mark.parametrize(("path", "code"), [("missing", 44), ("broken", 1)])
@pytest.mark.contract("C-268")
def test_failures_leave_what_is_there(cache_url, server, fake_root, path, code):
    target = fake_root.base / "cache/file"
    target.write_text("old")
    run = cache_url(f"{server}/{path}", target)
    assert run.exit_code == code
    assert f"{server}/{path}" in run.output
    assert target.read_text() == "old"
    assert [entry.name for entry in target.parent.iterdir()] == ["file"]


def test_nobody_there_is_a_failure(cache_url, fake_root):
    assert cache_url("http://127.0.0.1:9/file", fake_root.base / "cache/file").exit_code == 1


def test_caches_on_the_way_can_be_passed_over(cache_url, server, fake_root):
    cache_url("-f", f"{server}/file", fake_root.base / "cache/file")
    assert "no-cache" in Server.seen[0]["Cache-Control"]


@pytest.mark.contract("C-268")
def test_local_files_are_taken(cache_url, fake_root, tmp_path):
    source, target = tmp_path / "source", fake_root.base / "cache/file"
    source.write_text("local")
    assert cache_url(f"file://{source}", target).ok
    assert target.read_text() == "local"
    assert cache_url(f"file://{source}", target).ok
    assert target.read_text() == "local"


@pytest.mark.contract("C-268")
def test_a_pipe_is_fed(cache_url, server, fake_root):
    pipe, got = fake_root.base / "cache/pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: got.append(Path(pipe).read_bytes()), daemon=True)
    reader.start()
    assert cache_url(f"{server}/file", pipe).ok
    reader.join(5)
    assert got == [b"first"]


def test_arguments_are_checked(cache_url):
    run = cache_url("only-one")
    assert run.exit_code == 1
    assert run.output == "usage: cache-url [-f] URL FILE\n"
