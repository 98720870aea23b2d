"""A drive or share that fails: a library, loaded before the C library, whose reads of some files do."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

ssize_t read(int descriptor, void *buffer, size_t size) {
    static ssize_t (*real)(int, void *, size_t);
    char link[64], path[4096];
    const char *name = getenv("FAILING_NAME"), *from = getenv("FAILING_FROM");
    if (!real) real = dlsym(RTLD_NEXT, "read");
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = name ? readlink(link, path, sizeof path - 1) : -1;
    if (length > 0) {
        path[length] = 0;
        if (strstr(path, name) && lseek(descriptor, 0, SEEK_CUR) + (off_t) size > atoll(from)) {
            errno = EIO;
            return -1;
        }
    }
    return real(descriptor, buffer, size);
}
"""


def failing_reads(folder: Path) -> Path:
    """Build the library. A process that has it in LD_PRELOAD cannot read files whose path contains
    FAILING_NAME from byte FAILING_FROM on.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("needs Linux and a C compiler")
    (folder / "failing.c").write_text(_SOURCE)
    library = folder / "failing.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, folder / "failing.c", "-ldl"], check=True)
    return library
