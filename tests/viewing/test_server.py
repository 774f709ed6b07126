"""The server answers its own address only, serves nothing outside the report, and lets no text become markup."""

from __future__ import annotations

import http.client
import json
import socket

import pytest
from live_study import HOSTILE, finish_evaluation, running, served, train

from crosslift.errors import StoreError
from crosslift.viewing.observer import Observer, open_read_only
from crosslift.viewing.page import SCRIPT, render
from crosslift.viewing.server import ADDRESS, ViewServer, report_file


@pytest.fixture
def server(graph):
    with served(graph.study.folder) as found:
        yield found


def ask(server, path="/", *, method="GET", **headers):
    """Status, headers and content of an answer; a header None is left out."""
    connection = http.client.HTTPConnection(ADDRESS, server.server_port, timeout=10)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    sent = {"Host": f"{ADDRESS}:{server.server_port}"} | {name.replace("_", "-"): one for name, one in headers.items()}
    for name, value in sent.items():
        if value is not None:
            connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers, content


def test_the_page_and_the_changes_are_served(server):
    status, headers, content = ask(server)
    assert status == 200 and b"<title>tiny" in content
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    status, headers, content = ask(server, "/changes?since=")
    assert status == 200 and len(json.loads(content)["runs"]) == 5
    assert ask(server, Host=f"localhost:{server.server_port}")[0] == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", "127.0.0.1.nip.io:{port}", "", "[::1]:{port}"],
)
@pytest.mark.parametrize("path", ["/", "/changes", "/run?name=tiny.en.s0", "/index.html"])
def test_a_foreign_host_is_refused(server, host, path):
    assert ask(server, path, Host=host.format(port=server.server_port))[0] == 403


def test_a_request_without_a_host_or_with_two_is_refused(server):
    assert ask(server, Host=None)[0] == 400
    with socket.create_connection((ADDRESS, server.server_port), timeout=10) as raw:
        own = f"Host: {ADDRESS}:{server.server_port}\r\n"
        raw.sendall(f"GET / HTTP/1.1\r\n{own}Host: evil.example\r\n\r\n".encode())
        assert b" 400 " in raw.recv(100)


def test_a_page_of_another_site_reads_nothing_but_may_link_here(server):
    for site in ("cross-site", "same-site"):
        assert ask(server, "/changes", Sec_Fetch_Site=site, Sec_Fetch_Mode="no-cors")[0] == 403
        assert ask(server, Sec_Fetch_Site=site, Sec_Fetch_Mode="navigate")[0] == 200
    assert ask(server, "/changes", Sec_Fetch_Site="same-origin", Sec_Fetch_Mode="cors")[0] == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
def test_nothing_can_be_changed(server, method):
    assert ask(server, "/changes", method=method)[0] == 501


def test_a_head_request_has_no_content(server):
    status, headers, content = ask(server, method="HEAD")
    assert status == 200 and content == b"" and int(headers["Content-Length"]) > 1000


PATHS = ["/../study.toml", "/\\..\\study.toml", "/%2e%2e/study.toml", "/tables/../../study.toml", "/..%2fstudy.toml",
         "//etc/passwd", "/%00", "/done.json", "/.hidden.html", "/tables", "/link.csv", "/folder/x.csv",
         "/nothing.html"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leaves_the_report(server, graph, path):
    report = graph.store.report_folder
    (report / "tables").mkdir(parents=True)
    (report / "done.json").write_text("{}")
    (report / ".hidden.html").write_text("x")
    (report / "link.csv").symlink_to(graph.study.folder / "study.toml")
    (report / "folder").symlink_to(graph.study.folder.parent)
    (graph.study.folder.parent / "x.csv").write_text("secret")
    status, _, content = ask(server, path)
    assert status == 404 and b"secret" not in content and b"[training]" not in content


def test_files_of_the_report_are_served_by_kind(server, graph):
    tables = graph.store.report_folder / "tables"
    tables.mkdir(parents=True)
    (tables / "contrasts.csv").write_text("a,b\n")
    status, headers, content = ask(server, "/tables/contrasts.csv")
    assert status == 200 and content == b"a,b\n"
    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    assert "sandbox" in headers["Content-Security-Policy"]
    assert report_file(graph.store.report_folder, "tables/contrasts.csv") is not None


def test_the_policy_forbids_everything_but_the_page_itself(server):
    _, headers, _ = ask(server)
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'" and policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' data:" and policy["frame-ancestors"] == "'none'"
    for kind in ("script-src", "style-src"):
        assert all(part.startswith("'sha256-") for part in policy[kind].split()), policy[kind]
    assert "unsafe-eval" not in headers["Content-Security-Policy"]
    for name, value in (("X-Content-Type-Options", "nosniff"), ("Referrer-Policy", "no-referrer"),
                        ("Cross-Origin-Resource-Policy", "same-origin"), ("Cache-Control", "no-store")):  # fmt: skip
        assert headers[name] == value


def test_a_script_that_somebody_put_into_the_report_is_not_allowed_by_the_policy(graph):
    own = render(graph.study)
    foreign = '<script type="module">window.hacked = 1</script>\n'
    report = render(graph.study, "").html
    marked = "<!-- view: links -->\n<!-- view: more links -->\n<!-- view: sections -->\n<!-- view: more sections -->\n"
    page = render(graph.study, f"<head></head>{marked}{foreign}{SCRIPT}", report_version="1")
    assert foreign in page.html
    script = [part for part in page.policy.split("; ") if part.startswith("script-src")]
    assert script == [part for part in own.policy.split("; ") if part.startswith("script-src")]
    assert "window.hacked" not in report


def test_text_of_models_stays_text_in_what_is_sent(server, graph):
    run = "tiny.en.s0"
    with running(graph, run) as progress:
        finish_evaluation(graph, run, "en", text=HOSTILE)
        progress.update(phase="evaluating math.es", evaluations=1)
        train(progress, 1, loss=1.0)
    status, headers, content = ask(server, f"/run?name={run}")
    assert status == 200 and headers["Content-Type"] == "application/json"
    assert {one["text"] for one in json.loads(content)["samples"]} == {HOSTILE}
    assert ask(server, "/run?name=nothing")[0] == 404


def test_a_hostile_name_or_question_is_escaped_in_the_page(graph):
    from dataclasses import replace

    page = render(replace(graph.study, name=HOSTILE, question=HOSTILE, hypothesis=HOSTILE)).html
    assert "window.hacked" in page and "<script>window" not in page and "<img src=x" not in page


def test_a_port_in_use_is_named(server, graph):
    with pytest.raises(StoreError, match=r"Port \d+ cannot be used .* --port"):
        ViewServer(Observer(lambda: open_read_only(graph.study.folder)), port=server.server_port)


def test_only_this_machine_is_listened_to(server):
    assert server.socket.getsockname()[0] == "127.0.0.1"
