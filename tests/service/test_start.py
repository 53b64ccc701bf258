"""A process that serves holds nothing that it does not need."""

import subprocess
import sys

import pytest

# glibc's own account of its arenas, once five threads have asked for memory at the same time.
ARENAS = """
import ctypes, sys, threading
from service import malloc

libc = ctypes.CDLL(None)
libc.fopen.restype = libc.malloc.restype = ctypes.c_void_p
if {one}:
    malloc.share_one_arena()
together = threading.Barrier(5)

def ask():
    together.wait()
    libc.malloc(10_000)
    together.wait()

threads = [threading.Thread(target=ask) for _ in range(5)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
file = ctypes.c_void_p(libc.fopen(sys.argv[1].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
"""


def test_command_line_imports_no_library_that_serving_from_a_file_does_not_need():
    program = (
        "import sys, service.cli; print(*{'alembic', 'rich', 'sqlalchemy.dialects.postgresql'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("one", [True, False], ids=["told", "not told"])
def test_threads_share_one_arena_once_malloc_is_told(one, tmp_path):
    told = tmp_path / "arenas.xml"
    subprocess.run([sys.executable, "-c", ARENAS.replace("{one}", str(one)), str(told)], check=True)
    assert (told.read_text().count("<heap nr=") == 1) is one
