"""Certificates for the metrics port, made by openssl."""

from __future__ import annotations

import subprocess
from pathlib import Path


class Authority:
    """A CA made by openssl, and certificates that it has signed."""

    def __init__(self, directory: Path, name: str) -> None:
        self.directory = directory
        self.cert = directory / f"{name}.pem"
        self.key = directory / f"{name}.key"
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                  "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign",
                  "-keyout", str(self.key), "-out", str(self.cert))  # fmt: skip

    def sign(self, name: str, *, passphrase: str | None = None) -> tuple[str, str]:
        """Paths of a certificate for `localhost`, and of its key."""
        key, wish, cert = (self.directory / f"{name}.{suffix}" for suffix in ("key", "csr", "crt"))
        secret = ("-passout", f"pass:{passphrase}") if passphrase else ("-nodes",)
        self._run("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", *secret,
                  "-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                  "-keyout", str(key), "-out", str(wish))  # fmt: skip
        self._run("x509", "-req", "-in", str(wish), "-CA", str(self.cert), "-CAkey", str(self.key), "-days", "2",
                  "-copy_extensions", "copy", "-CAcreateserial", "-out", str(cert))  # fmt: skip
        return str(cert), str(key)

    def _run(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
