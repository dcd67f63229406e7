"""A real reverse proxy, nginx, in front of a gateway; tests that need it are skipped if it is missing."""

import os
import shutil
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from deploy.local.certificates import make_authority
from deploy.local.ports import LOOPBACK, accepts, free_ports
from deploy.local.processes import Processes, Program
from tests.system.person import CALL_SECONDS

START_SECONDS = 30
CONFIGURATION = """
daemon off; master_process off; pid {directory}/nginx.pid; error_log stderr;
events {{}}
http {{
  access_log off; client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/f; uwsgi_temp_path {directory}/u; scgi_temp_path {directory}/s;
  server {{
    listen {clear}; listen {tls} ssl;
    ssl_certificate {certificate}; ssl_certificate_key {key};
    location / {{
      proxy_pass {gateway};
      proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Front:
    """The addresses of a proxy, in clear and with TLS, and the trusted authority."""

    clear: str
    tls: str
    trust: ssl.SSLContext


@asynccontextmanager
async def reverse_proxy(directory: Path, gateway: str) -> AsyncIterator[Front]:
    """Run nginx in front of a gateway."""
    program = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        pytest.skip("nginx is not installed (apt-get install nginx-light)")
    clear, tls = free_ports(2)
    authority = make_authority(directory, "proxy")
    server = authority.issue([LOOPBACK])
    (directory / "nginx.conf").write_text(
        CONFIGURATION.format(
            directory=directory,
            clear=f"{LOOPBACK}:{clear}",
            tls=f"{LOOPBACK}:{tls}",
            certificate=server.certificate_path,
            key=server.key_path,
            gateway=gateway,
        )
    )
    processes = Processes(directory / "logs")
    nginx = Program("nginx", [program, "-p", str(directory), "-c", str(directory / "nginx.conf")])
    async with processes.running(nginx):
        await processes.until("nginx", lambda: accepts(tls), START_SECONDS)
        trust = ssl.create_default_context(cafile=authority.certificate_path)
        yield Front(f"http://{LOOPBACK}:{clear}", f"https://{LOOPBACK}:{tls}", trust)


def from_address(address: str, url: str, trust: ssl.SSLContext | None = None) -> httpx.AsyncClient:
    """Return a client that connects from an address of this machine."""
    transport = httpx.AsyncHTTPTransport(local_address=address, verify=trust or True)
    return httpx.AsyncClient(base_url=url, transport=transport, timeout=CALL_SECONDS, trust_env=False)
