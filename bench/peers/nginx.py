"""nginx as a plain proxy: the floor that any proxy could reach."""

from __future__ import annotations

import os
import pwd
import re
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from bench.peers import NotInstallable, Peer
from bench.peers.install import answer, installed, run
from bench.peers.process import Start, answering, free_port

# Debian's package is unpacked and never installed, so that nothing of the system changes and no service starts
_PACKAGE = "nginx"

# - a million requests a connection: with the default of 1000 a long run would measure new connections too
# - bodies up to 1 MB stay in memory, otherwise all above 16 kB would go through a file
_CONFIG = """\
daemon off;
worker_processes auto;
worker_rlimit_nofile 16384;
pid {folder}/nginx.pid;
error_log {folder}/error.log warn;
{user}
events {{ worker_connections 8192; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream mock {{
        server {upstream};
        keepalive 512;
        keepalive_requests 1000000;
    }}
    server {{
        listen 127.0.0.1:{port} backlog=4096;
        keepalive_requests 1000000;
        client_max_body_size 32m;
        client_body_buffer_size 1m;
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffering off;
            proxy_read_timeout 300s;
        }}
    }}
}}
"""


@contextmanager
def running(upstream: str, folder: Path) -> Generator[Peer]:
    """Run nginx in front of the upstream, such as "http://127.0.0.1:9911"; the folder must be empty.

    Raises:
        NotInstallable: neither the PATH nor Debian's packages have it, or it does not start.
    """
    program = _program()
    port, config = free_port(), folder / "nginx.conf"
    # workers of root's nginx would be another user, who may not enter the folder
    user = f"user {pwd.getpwuid(0).pw_name};" if os.geteuid() == 0 else ""
    address = urlsplit(upstream).netloc
    config.write_text(_CONFIG.format(folder=folder.absolute(), upstream=address, port=port, user=user))
    command = [program, "-e", "stderr", "-p", folder.absolute(), "-c", config.absolute()]
    start = Start(command, {}, deadline_seconds=20)
    peer = Peer("nginx", _version(program), f"http://127.0.0.1:{port}/v1", {}, "mock-model")
    with answering(peer, start, folder) as peer:
        yield peer


def _program() -> Path:
    if (found := shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")) is not None:
        return Path(found)
    if shutil.which("apt-get") is None:
        raise NotInstallable("nginx is not on the PATH, and this is no Debian that could fetch it: install nginx.")
    return installed("nginx", _PACKAGE, _unpack) / "package/usr/sbin/nginx"


def _unpack(home: Path) -> None:
    """Fetch the package with the signatures that apt checks, and unpack it."""
    # root's apt would download as another user, who may not write here, and warn
    download = ["apt-get", "download", "--quiet", "--option", "APT::Sandbox::User=root", _PACKAGE]
    try:
        run(download, folder=home)
    except NotInstallable:
        # images come without lists of packages, or with lists older than the mirror
        if os.geteuid() != 0:
            raise
        run(["apt-get", "update", "--quiet"], folder=home)
        run(download, folder=home)
    for package in home.glob("*.deb"):
        run(["dpkg-deb", "--extract", package, home / "package"], folder=home)
    _version(home / "package/usr/sbin/nginx")


def _version(program: Path) -> str:
    said = answer(program, "-v")
    if (found := re.search(r"nginx/([\d.]+)", said)) is None:
        raise NotInstallable(f"nginx does not tell its version: {said.strip()!r}.")
    return found[1]
