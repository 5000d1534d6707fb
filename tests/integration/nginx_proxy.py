"""A real nginx in front of the product, with the buffering that it has when nobody says anything about it.

The program is the one that scripts/real_parts.py pins; where that cannot be had, the one on the PATH.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from bench.peers.process import Start, free_port, started

from llm_manager.testing.stack import wait_until

_PARTS = Path(__file__).resolve().parents[2] / "scripts" / "real_parts.py"
# a download of 3 MB, once for a machine
_INSTALL_SECONDS = 300

# Nothing about buffering: `proxy_buffering on` is nginx's default. What then holds events back is not nginx itself
# (1.31 passes each chunk on, tried 2026-11-29) but its gzip filter, which waits for more text until told to flush.
_CONFIG = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr warn;
{user}
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    gzip_types text/event-stream;
    gzip_min_length 0;
    gzip_proxied any;
{servers}}}
"""
_SERVER = """\
    server {{
        listen 127.0.0.1:{port};
        {more}
        location / {{
            proxy_pass http://{address};
            proxy_http_version 1.1;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
"""


@dataclass(frozen=True, slots=True)
class NginxProxy:
    """The origins of a running nginx.

    Args:
        plain: as people write it first.
        packing: packs streams with gzip.
        deaf: packs them, and does not heed X-Accel-Buffering: this shows what the header is good for.
    """

    plain: str
    packing: str
    deaf: str


@contextmanager
def nginx_before(origin: str, folder: Path) -> Generator[NginxProxy]:
    """Run nginx before an origin, in an empty folder."""
    program, address = _program(), urlsplit(origin).netloc
    settings = ("", "gzip on;", "gzip on; proxy_ignore_headers X-Accel-Buffering;")
    ports = [free_port() for _ in settings]
    servers = [
        _SERVER.format(port=port, more=more, address=address) for port, more in zip(ports, settings, strict=True)
    ]
    # workers of root's nginx would be another user, who may not enter the folder
    user = f"user {pwd.getpwuid(0).pw_name} root;" if os.geteuid() == 0 else ""
    config = folder / "nginx.conf"
    config.write_text(_CONFIG.format(folder=folder, user=user, servers="".join(servers)))
    start = Start([program, "-e", "stderr", "-p", folder, "-c", config], {}, deadline_seconds=20)
    with started(start, folder) as process:

        def is_up() -> bool:
            assert process.poll() is None, f"nginx ended: {(folder / 'peer.log').read_text()}"
            # written when all servers listen
            return (folder / "nginx.pid").exists()

        wait_until(is_up, timeout_seconds=20, what="the start of nginx")
        yield NginxProxy(*(f"http://127.0.0.1:{port}" for port in ports))


def _program() -> Path:
    """Return the program; skip the test where there is none, which CI takes for a failure."""
    command = [sys.executable, "-I", str(_PARTS), "nginx"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)
    if done.returncode == 0:
        return Path(done.stdout.splitlines()[-1]) / "nginx"
    found = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
    if found is None:
        why = f"no nginx: {' '.join(done.stderr.split())}; install it (Debian: apt-get install nginx)"
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(why)
    return Path(found)
