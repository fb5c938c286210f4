"""Where settings come from: each source is read whole, belongs to its reader, and does not vanish unnoticed."""

from __future__ import annotations

import os
import socket
import threading
import time
from pathlib import Path

import pytest

from queuetick.config import Config, ConfigError, Credentials, reading
from queuetick.config import load as configuration
from queuetick.config.load import Loader, load, load_thresholds
from queuetick.config.settings import Source
from support.processes import until

REGIONS = {
    "us-east-1": "https://api.mypurecloud.com",
    "eu-west-1": "https://api.mypurecloud.ie",
    "euw-2": "https://api.euw2.pure.cloud",
}
LOGIN = {"GENESYS_CLIENT_ID": "an-id", "GENESYS_CLIENT_SECRET": "a-secret"}
BOTH = "GENESYS_CLIENT_ID=dot-id\nGENESYS_CLIENT_SECRET=dot-secret\n"


def read(directory: Path, path: Path | None = None, **environ: str) -> Config:
    return load(path, regions=REGIONS, environ=environ, directory=directory)


def problems(directory: Path, path: Path | None = None, **environ: str) -> dict[str, tuple[str, str]]:
    with pytest.raises(ConfigError) as caught:
        read(directory, path, **environ)
    return {problem.key: (problem.problem, problem.fix) for problem in caught.value.problems}


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    directory = tmp_path / "etc"
    directory.mkdir()
    (directory / "config.toml").write_text("")
    return directory


# .env


def test_dotenv_is_read_beside_the_config_file_and_not_in_the_current_directory(tmp_path, etc) -> None:
    (tmp_path / ".env").write_text(
        "GENESYS_API_URL=http://127.0.0.1:9099\n" + BOTH.replace("dot", "stranger")
    )
    (etc / ".env").write_text(BOTH)
    config = read(tmp_path, etc / "config.toml")
    assert (Credentials("dot-id", "dot-secret"), None) == (config.credentials, config.genesys.api_url)


def test_dotenv_is_read_in_the_current_directory_where_there_is_no_config_file(tmp_path) -> None:
    (tmp_path / ".env").write_text(BOTH)
    assert Credentials("dot-id", "dot-secret") == read(tmp_path).credentials


def test_dotenv_is_not_read_where_systemd_gives_credentials(tmp_path, etc) -> None:
    for directory in (tmp_path, etc):
        (directory / ".env").write_text("GENESYS_API_URL=http://127.0.0.1:9099\nHTTPS_PROXY=http://x:1\n")
    given = tmp_path / "credentials"
    given.mkdir()
    for name in ("client_id", "client_secret"):
        (given / f"genesys_{name}").write_text("\ufeffvalue\r\n")
    for path in (None, etc / "config.toml"):
        config = read(tmp_path, path, CREDENTIALS_DIRECTORY=str(given))
        assert (None, None) == (config.genesys.api_url, config.proxy)
        assert Credentials("value", "value") == config.credentials
        dotenv = (path or tmp_path / "x").parent / ".env"
        assert Source(str(dotenv), "ignored", "$CREDENTIALS_DIRECTORY is given") in config.sources


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GENESYS_API_URL", "http://127.0.0.1:9099"),
        ("GENESYS_LOGIN_URL", "http://127.0.0.1:9099"),
        ("GENESYS_REGION", "eu-west-1"),
        ("HTTPS_PROXY", "http://proxy.test:1"),
        ("https_proxy", "http://proxy.test:1"),
    ],
)
def test_dotenv_sets_no_host_for_secrets_that_come_from_elsewhere(variable, value, tmp_path) -> None:
    line = f"{variable}={value}\n"
    (tmp_path / ".env").write_text(line)
    found = problems(tmp_path, **LOGIN)
    assert {
        variable: (
            f"is set by {tmp_path}/.env, but GENESYS_CLIENT_ID comes from the environment",
            f"set {variable} in the environment or in config.toml, or put the credentials in that .env",
        )
    } == found
    (tmp_path / ".env").write_text(line + "GENESYS_CLIENT_ID=x\n")
    assert [variable] == list(problems(tmp_path, GENESYS_CLIENT_SECRET="from-elsewhere"))
    (tmp_path / ".env").write_text(line + BOTH)
    assert read(tmp_path).origins["GENESYS_CLIENT_ID"] == f"{tmp_path}/.env"
    (tmp_path / ".env").write_text(line)
    assert read(tmp_path, **LOGIN, **{variable: value}), "what the environment overrides is not in force"


def test_the_environments_spelling_of_a_proxy_wins_over_dotenvs_other_spelling(tmp_path) -> None:
    (tmp_path / ".env").write_text(BOTH + "https_proxy=http://dot:1\n")
    config = read(tmp_path, HTTPS_PROXY="http://env:2")
    assert config.proxy is not None
    assert "http://env:2" == config.proxy.url


def test_a_proxy_in_dotenv_is_used(tmp_path) -> None:
    (tmp_path / ".env").write_text(BOTH + "HTTPS_PROXY=http://me:pa55word@dot:3128\nNO_PROXY=.corp.test\n")
    config = read(tmp_path)
    proxy = config.proxy_for("https://api.mypurecloud.com")
    assert proxy is not None
    assert ("dot", 3128, "Basic bWU6cGE1NXdvcmQ=") == (proxy.host, proxy.port, proxy.authorization)
    assert config.proxy_for("https://a.corp.test") is None
    assert config.proxy_for("http://127.0.0.1:1") is None
    assert "pa55word" in config.secrets()


# A source that exists and cannot be read


def bad_dotenv(path: Path, kind: str) -> None:
    content = BOTH.replace("dot", "d\u00f6t")
    if kind == "directory":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(path))
    elif kind == "device":
        path.symlink_to("/dev/null")
    elif kind == "dangling":
        path.symlink_to("/nonexistent/x")
    elif kind == "loop":
        path.symlink_to(path)
    else:
        path.write_bytes({
            "utf-16": content.encode("utf-16"),
            "utf-16 without a mark": BOTH.encode("utf-16-le"),
            "latin-1": content.encode("latin-1"),
            "nul": BOTH.encode() + b"\0",
            "line": (BOTH + "GENESYS_REGION='eu-west-1\n").encode(),
        }[kind])  # fmt: skip


BAD = [
    "directory",
    "fifo",
    "socket",
    "device",
    "loop",
    "dangling",
    "utf-16",
    "utf-16 without a mark",
    "latin-1",
    "nul",
    "line",
]


@pytest.mark.parametrize("kind", BAD)
def test_a_dotenv_that_cannot_be_read_is_a_problem_also_where_the_environment_has_the_secrets(
    kind, tmp_path
) -> None:
    bad_dotenv(tmp_path / ".env", kind)
    found = problems(tmp_path, **LOGIN)
    assert [f"{tmp_path}/.env"] == list(found)
    assert "dot-secret" not in str(found)
    if kind != "line":
        assert [f"{tmp_path}/.env"] == list(problems(tmp_path)), "that no secret is set follows from it"


@pytest.mark.parametrize("kind", BAD)
@pytest.mark.parametrize("path", [None, Path("config.toml")])
def test_a_config_file_that_cannot_be_read_is_a_problem(kind, path, tmp_path) -> None:
    bad_dotenv(tmp_path / "config.toml", kind)
    assert ["config.toml"] == list(problems(tmp_path, path, **LOGIN))


@pytest.mark.parametrize("kind", [kind for kind in BAD if kind != "line"])
def test_a_credential_that_cannot_be_read_is_a_problem(kind, tmp_path) -> None:
    bad_dotenv(tmp_path / "genesys_client_secret", kind)
    found = problems(tmp_path, **LOGIN, CREDENTIALS_DIRECTORY=str(tmp_path))
    assert ["GENESYS_CLIENT_SECRET"] == list(found)


@pytest.mark.parametrize("kind", ["directory", "fifo", "socket", "device", "loop", "dangling"])
@pytest.mark.parametrize("key", ["genesys.ca_bundle", "metrics.tls_client_ca"])
def test_a_pem_file_that_blocks_is_a_problem(kind, key, tmp_path) -> None:
    bad_dotenv(tmp_path / "ca.pem", kind)
    section, name = key.split(".")
    (tmp_path / "config.toml").write_text(f'[{section}]\n{name} = "{tmp_path}/ca.pem"\n')
    assert [key] == list(problems(tmp_path, **LOGIN))


def test_a_file_larger_than_any_configuration_is_a_problem(tmp_path) -> None:
    with (tmp_path / "config.toml").open("wb") as file:
        file.truncate(1 << 40)
    assert {"config.toml": ("cannot be read: it is larger than 16 MiB", "name another file")} == problems(
        tmp_path, **LOGIN
    )


def test_a_byte_order_mark_is_no_content(tmp_path) -> None:
    (tmp_path / "config.toml").write_text("\ufeff[poll]\ninterval = 20\n")
    (tmp_path / ".env").write_text("\ufeff" + BOTH)
    config = read(tmp_path)
    assert (20, Credentials("dot-id", "dot-secret")) == (config.poll.interval, config.credentials)


def test_a_file_system_that_does_not_answer_is_a_problem_in_bounded_time(tmp_path, monkeypatch) -> None:
    hung = threading.Event()
    monkeypatch.setattr(configuration, "PATIENCE", 0.2)
    monkeypatch.setattr(reading, "read_text", lambda *_, **__: str(hung.wait(10)))
    began = time.monotonic()
    found = problems(tmp_path, **LOGIN)
    hung.set()
    until(
        lambda: not any(thread.name == configuration.READING_THREAD for thread in threading.enumerate()), 10
    )
    fix = "check that its file system answers, or name a file elsewhere"
    assert {"config.toml": (f"{tmp_path}/config.toml was not read within 0.2 s", fix)} == found
    assert time.monotonic() - began < 5


def test_reads_that_hang_are_few_and_keep_no_later_one_from_its_turn(tmp_path, monkeypatch) -> None:
    hung = threading.Event()
    with monkeypatch.context() as dead:
        dead.setattr(configuration, "PATIENCE", 0.05)
        dead.setattr(reading, "read_text", lambda *_, **__: str(hung.wait(30)))
        assert ["config.toml"] == list(problems(tmp_path, **LOGIN))
    assert "an-id" == read(tmp_path, **LOGIN).credentials.client_id
    with monkeypatch.context() as dead:
        dead.setattr(configuration, "PATIENCE", 0.05)
        dead.setattr(reading, "read_text", lambda *_, **__: str(hung.wait(30)))
        found = [problems(tmp_path, **LOGIN) for _ in range(9)][-1]
    threads = [thread for thread in threading.enumerate() if thread.name == configuration.READING_THREAD]
    hung.set()
    assert ["reload"] == list(found)
    assert configuration.MOST_HANGING == len(threads)
    for thread in threads:
        thread.join(10)


def test_a_current_directory_that_was_removed_has_no_sources(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(configuration, "DEFAULT_PATHS", (Path("config.toml"),))
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    config = load(None, regions=REGIONS, environ=LOGIN)
    assert ["absent", "absent", "read"] == [source.state for source in config.sources]


# Who may have written a source


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("name", ["config.toml", ".env"])
def test_a_source_of_somebody_else_is_refused(name, tmp_path) -> None:
    file = tmp_path / name
    file.write_text("GENESYS_CLIENT_ID=x\n" if name == ".env" else "")
    os.chown(file, 12345, 0)
    key = name if name == "config.toml" else str(file)
    assert {key: ("belongs to user 12345, not to root", f"chown root {file}")} == problems(tmp_path, **LOGIN)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives links away")
def test_a_link_of_somebody_else_is_refused_though_its_file_is_roots(tmp_path) -> None:
    (tmp_path / "other").write_text(BOTH)
    (tmp_path / ".env").symlink_to(tmp_path / "other")
    os.lchown(tmp_path / ".env", 12345, 12345)
    assert [f"{tmp_path}/.env"] == list(problems(tmp_path, **LOGIN))


@pytest.mark.parametrize("name", ["config.toml", ".env"])
@pytest.mark.parametrize(("mode", "who"), [(0o664, "its group"), (0o602, "anybody"), (0o666, "anybody")])
def test_a_source_that_others_can_write_is_refused(name, mode, who, tmp_path) -> None:
    file = tmp_path / name
    file.write_text(BOTH if name == ".env" else "")
    file.chmod(mode)
    key = name if name == "config.toml" else str(file)
    assert {key: (f"can be written by {who}", f"chmod go-w {file}")} == problems(tmp_path, **LOGIN)
    file.chmod(0o640)
    assert read(tmp_path, **LOGIN)


# A source that goes


def test_a_default_config_file_that_is_gone_at_the_reload_is_a_problem_and_no_default(
    tmp_path, monkeypatch
) -> None:
    monkeypatch.setattr(configuration, "DEFAULT_PATHS", (Path("config.toml"), Path("b.toml")))
    (tmp_path / "config.toml").write_text('[genesys]\nregion = "eu-west-1"\n')
    (tmp_path / "b.toml").write_text("")
    loader = Loader(None, regions=REGIONS, environ=LOGIN, directory=tmp_path)
    assert "eu-west-1" == loader.load().genesys.region
    (tmp_path / "config.toml").rename(tmp_path / "kept")
    with pytest.raises(ConfigError) as caught:
        loader.load()
    [problem] = caught.value.problems
    assert (f"{tmp_path}/config.toml", "was read before and is gone") == (problem.key, problem.problem)
    (tmp_path / "kept").rename(tmp_path / "config.toml")
    assert "eu-west-1" == loader.load().genesys.region


@pytest.mark.parametrize("name", [".env", "genesys_client_id", "genesys_client_secret"])
def test_any_source_that_is_gone_at_the_reload_is_a_problem(name, tmp_path) -> None:
    (tmp_path / name).write_text(BOTH if name == ".env" else "a-value")
    environ = dict(LOGIN) if name == ".env" else {**LOGIN, "CREDENTIALS_DIRECTORY": str(tmp_path)}
    loader = Loader(None, regions=REGIONS, environ=environ, directory=tmp_path)
    assert loader.load()
    (tmp_path / name).unlink()
    with pytest.raises(ConfigError) as caught:
        loader.load()
    [problem] = caught.value.problems
    assert problem.problem.endswith("was read before and is gone")
    assert name in str(problem) or name.upper() in problem.key


# What is said of sources


def test_every_source_is_named_and_each_value_with_where_it_came_from(tmp_path) -> None:
    (tmp_path / "config.toml").write_text("thresholds = []\n[poll]\ninterval = 20\n")
    (tmp_path / ".env").write_text(BOTH + "GENESYS_REGION=eu-west-1\nHTTPS_PROXY=http://p:1\n")
    config = read(
        tmp_path, QUEUETICK_ORG="emea", GENESYS_CLIENT_SECRET="", GENESYS_LOGIN_URL="https://x.test"
    )
    dotenv = f"{tmp_path}/.env"
    assert (
        Source(f"{tmp_path}/config.toml", "read"),
        Source(dotenv, "read"),
        Source("environment", "read"),
    ) == config.sources
    assert {
        "thresholds": f"{tmp_path}/config.toml",
        "poll.interval": f"{tmp_path}/config.toml",
        "genesys.region": f"GENESYS_REGION in {dotenv}",
        "genesys.org": "QUEUETICK_ORG in the environment",
        "genesys.login_url": "GENESYS_LOGIN_URL in the environment",
        "GENESYS_CLIENT_ID": dotenv,
        "GENESYS_CLIENT_SECRET": dotenv,
        "HTTPS_PROXY": dotenv,
    } == config.origins


def test_sources_that_are_not_there_are_named_too(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(configuration, "DEFAULT_PATHS", (Path("config.toml"),))
    config = read(tmp_path, **LOGIN, CREDENTIALS_DIRECTORY="/nonexistent")
    states = {Path(source.name).name: source.state for source in config.sources}
    assert {
        "config.toml": "absent",
        ".env": "ignored",
        "environment": "read",
        "genesys_client_id": "absent",
        "genesys_client_secret": "absent",
    } == states


# Thresholds alone, for viewers


def test_a_viewer_reads_the_valid_thresholds_without_credentials(tmp_path) -> None:
    (tmp_path / "config.toml").write_text('[[thresholds]]\nnames = ["[VIP]*"]\nwaiting = [1, 2]\n[other]\n')
    [threshold] = load_thresholds(None, directory=tmp_path)
    assert (("[VIP]*",), (1.0, 2.0)) == (threshold.names, threshold.waiting)
    (tmp_path / "config.toml").write_text(
        "".join(
            f"[[thresholds]]\n{line}\n"
            for line in ("waiting = [2, 1]", "waitin = 1", "hours = 'x'", "waiting = 3")
        )
    )
    (tmp_path / "config.toml").chmod(0o666)
    [threshold] = load_thresholds(Path("config.toml"), directory=tmp_path)
    assert 3 == threshold.waiting
    for text in ("thresholds = 3", "thresholds = [3]", "[", ""):
        (tmp_path / "config.toml").write_text(text)
        assert () == load_thresholds(None, directory=tmp_path)
    (tmp_path / "config.toml").unlink()
    assert () == load_thresholds(Path("config.toml"), directory=tmp_path)
    os.mkfifo(tmp_path / "config.toml")
    assert () == load_thresholds(None, directory=tmp_path)
