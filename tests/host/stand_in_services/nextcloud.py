"""Stands in for Nextcloud on Apache, and for its cron: the database and the cache behind it are really asked.

As the true image does, it starts as root, fills its volume, binds port 80 and serves as www-data; cron changes to
www-data for each run. Whom it answers: TrustedDomainHelper.php and base.php of its server.
"""

import importlib
import json
import os
import signal
import socket
import sys
import time
from http.server import HTTPServer
from pathlib import Path
from typing import Any

from tests.host.stand_in_services.service import Answers, refuse, say

_WWW_DATA = 33
_HTML = Path("/var/www/html")
_JOBS = _HTML / "data" / "stand-in-jobs"
_CRON_EVERY_S = 5
# Request::REGEX_LOCALHOST of the server.
_LOCAL = ("localhost", "127.0.0.1", "[::1]")


def run(about: dict[str, Any], words: list[str]) -> None:
    """As the image's entrypoint, or as what the catalogue starts in its place."""
    if words[0] == "/cron.sh":
        _cron()
    elif words[1:] == ["apache2-foreground"]:
        _web(about)
    else:
        refuse(f"nothing is known of {' '.join(words)}")


def _web(about: dict[str, Any]) -> None:
    if not (_HTML / "version.php").exists():
        say(f"copies its program to {_HTML}")
        (_HTML / "data").mkdir(exist_ok=True)
        (_HTML / "version.php").write_text("<?php // a stand-in\n")
        for path in (_HTML, _HTML / "data", _HTML / "version.php"):
            os.chown(path, _WWW_DATA, _WWW_DATA)
    Answers.about, Answers.told = about, {}
    _Nextcloud.database = {
        "host": _value("POSTGRES_HOST"),
        "dbname": _value("POSTGRES_DB"),
        "user": _value("POSTGRES_USER"),
        "password": _value("POSTGRES_PASSWORD"),
    }
    _Nextcloud.is_installed = bool(_value("NEXTCLOUD_ADMIN_USER") and _value("NEXTCLOUD_ADMIN_PASSWORD"))
    server = HTTPServer(("0.0.0.0", about["port"]), _Nextcloud)
    child = os.fork()
    if child == 0:
        _become_www_data()
        say(f"serves at {about['port']} as {os.getuid()}:{os.getgid()}")
        server.serve_forever()

    def stop(*_: object) -> None:
        os.kill(child, signal.SIGTERM)

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGWINCH, stop)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    sys.exit(0 if code == -signal.SIGTERM else code)


def _value(name: str) -> str:
    """Of a variable, or of the file that it names."""
    file = os.environ.get(f"{name}_FILE")
    return Path(file).read_text() if file else os.environ.get(name, "")


class _Nextcloud(Answers):
    database: dict[str, str]
    is_installed: bool

    def respond(self) -> None:
        """Its status, which it has only with what is behind it."""
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        trusted = (*_LOCAL, *os.environ.get("NEXTCLOUD_TRUSTED_DOMAINS", "").split())
        if self.path != "/status.php":
            super().respond()
        elif host not in trusted and not os.environ.get("OVERWRITEHOST"):
            self.answer(400, '{"error": "Trusted domain error.", "code": 15}')
        else:
            self._status()

    def _status(self) -> None:
        database = importlib.import_module("psycopg2")
        try:
            with database.connect(connect_timeout=5, **self.database) as open_database:
                cursor = open_database.cursor()
                cursor.execute("create table if not exists stand_in (started timestamp default now())")
                cursor.execute("select version()")
                (version,) = cursor.fetchone()
            open_database.close()
            cache = _ping(os.environ["REDIS_HOST"])
        except (database.Error, OSError, KeyError) as error:
            say(f"without its database or its cache: {error}")
            self.answer(503, '{"error": "Internal Server Error"}')
            return
        status = {"installed": self.is_installed, "productname": "Nextcloud", "stand-in": True}
        self.answer(200, json.dumps({**status, "database": version, "cache": cache}))


def _ping(host: str) -> str:
    with socket.create_connection((host, 6379), timeout=5) as cache:
        cache.sendall(b"PING\r\n")
        return cache.recv(100).decode().strip()


def _become_www_data() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.setgroups([])
    os.setgid(_WWW_DATA)
    os.setuid(_WWW_DATA)


def _cron() -> None:
    while True:
        child = os.fork()
        if child == 0:
            _become_www_data()
            _JOBS.write_text(str(time.time()))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if status:
            refuse("its job failed")
        time.sleep(_CRON_EVERY_S)
