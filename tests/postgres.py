"""A PostgreSQL server of the tests' own: a folder, a socket in it, no port."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import psycopg


class PostgresServer:
    """Debian's PostgreSQL on an empty data folder; it does not run as root, so root becomes `postgres` for it."""

    def __init__(self) -> None:
        self._programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        # pytest's own folders are closed to other users, and a socket's path has room for about 100 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="postgres-"))
        self._data = self.folder / "data"
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres")
        self._run("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "--no-locale")

    def start(self) -> None:
        """Returns once it takes connections."""
        options = f"-c listen_addresses='' -c unix_socket_directories={self.folder} -c fsync=off"
        self._run("pg_ctl", "start", "--wait", "--silent", f"--log={self.folder}/log", f"--options={options}")

    def stop(self) -> None:
        """Ends every connection at once, as a failing server does."""
        self._run("pg_ctl", "stop", "--wait", "--silent", "--mode=immediate")

    def remove(self) -> None:
        """Stops it for good and removes its folder."""
        self.stop()
        shutil.rmtree(self.folder)

    def empty_database(self) -> str:
        """The URL of its one database, emptied: a new one each time would take most of a test's time."""
        with psycopg.connect(host=str(self.folder), user="postgres", autocommit=True) as connection:
            connection.execute("DROP SCHEMA public CASCADE")
            connection.execute("CREATE SCHEMA public")
        return f"postgresql://postgres@/postgres?host={self.folder}"

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), f"--pgdata={self._data}", *arguments]
        user = "postgres" if os.geteuid() == 0 else None
        # Its output goes to a file: the server inherits it, and a pipe would never end.
        with (self.folder / f"{program}.txt").open("w+") as output:
            done = subprocess.run(
                command, user=user, group=user, cwd=self.folder, stdout=output, stderr=subprocess.STDOUT
            )
            output.seek(0)
            assert done.returncode == 0, output.read()
