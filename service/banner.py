"""What `trustserve serve` prints once it answers."""

import shlex
from pathlib import Path

from service.inference.bundle import Bundle


def banner(bundle: Bundle, host: str, port: int) -> str:
    """What an operator sees once the service answers; the last line can be run as it stands."""
    url = f"http://{_reachable(host)}:{port}"
    manifest = bundle.manifest
    provider = " and ".join(sorted(set(bundle.sessions.providers.values())))
    return "\n".join(
        [
            f"{manifest.name} {manifest.version} is served at {url} ({provider})",
            f"docs: {url}/docs",
            "try:",
            f"  curl -F image=@{shlex.quote(_sample(bundle.path))} {url}/predict",
        ]
    )


def _reachable(host: str) -> str:
    """An address a caller on this machine can use: a service on every interface is also on the loopback."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)
    return f"[{host}]" if ":" in host else host


def _sample(bundle: Path) -> str:
    """First sample of a bundle, as short as a path from here can be."""
    samples = sorted(path for path in (bundle / "samples").glob("*") if path.is_file())
    if not samples:
        return "photo.jpg"
    sample = samples[0].absolute()
    return str(sample.relative_to(Path.cwd()) if sample.is_relative_to(Path.cwd()) else sample)
