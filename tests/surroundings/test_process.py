"""The surroundings of a process: threads, forks, locales, streams, directories and disks.

Each is run once, in a process of its own: jnn works there, or says in one sentence why it cannot,
and no file is lost or half written.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.name != "posix", reason="forks, locales and limits of POSIX"),
]

# what every program begins with
SHARED = """
import os, sys, threading, warnings
from pathlib import Path
import numpy as np, jax
import jnn
x = np.linspace(-1, 1, 20)[:, None]
def start(seed=0):
    return jnn.init_network_params([1, 4, 1], jax.random.key(seed))
def fit(seed=0, **options):
    return jnn.fit(start(seed), (x, x * x), **{"epochs": 20, **options})
def loss(seed=0):
    return float(fit(seed).history["loss"][-1]).hex()
"""

THREADS = """
expected = [loss(seed) for seed in range(4)]
found = [None] * 16
def work(i):
    found[i] = loss(i % 4)
threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
[t.start() for t in threads]; [t.join() for t in threads]
assert found == 4 * expected, found
"""

# compiled there for the first time, by several at once
COLD_THREADS = """
found = [None] * 4
def work(i):
    found[i] = loss()
threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
[t.start() for t in threads]; [t.join() for t in threads]
assert len(set(found)) == 1 and found[0] == loss(), found
"""

FORKED = """
import multiprocessing
def child(queue):
    queue.put(loss())
if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    queue = context.Queue()
    process = context.Process(target=child, args=(queue,))
    process.start()
    found = queue.get(timeout=120)
    process.join()
    assert (found, process.exitcode) == (loss(), 0)
"""

TEXTS = """
jnn.save("net.safetensors", start())
assert jnn.sizes(jnn.load("net.safetensors")) == (1, 4, 1)
fit(checkpoint="run", progress=False, epochs=4)
assert fit(checkpoint="run", progress=False, epochs=8).resumed == 4
print(fit().table(), jnn.diagnose(start(), x, x * x), sep="\\n")
print(jnn.crosscheck(start(), x[0], x[0]))
try:
    fit(patience=1.5)
except TypeError as error:
    print(error)
"""

CLOSED = """
descriptor = int(sys.argv[1])
os.close(descriptor)
setattr(sys, ["stdin", "stdout", "stderr"][descriptor], None if sys.argv[2] == "None" else
        getattr(sys, ["stdin", "stdout", "stderr"][descriptor]))
for progress in (None, False, True):
    fit(progress=progress)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    fit(optimizer="sgd", learning_rate=1e30)
Path("done").write_text("done")
os._exit(0)  # Python's own exit may complain about the stream
"""

# the reader of standard error goes while the bar is drawn
PIPE = """
read, write = os.pipe()
os.dup2(write, 2); os.close(write)
from jnn.training import progress
with progress.bar(3, True) as bar:
    bar.update(1)
    os.close(read)
    bar.update(1); bar.refresh()
assert fit(progress=True).epochs == 20
os._exit(0)
"""

# SIGXFSZ is ignored by Python, so that the limit is an OSError
FULL = """
import resource
jnn.save("net", start())
before = Path("net").read_bytes()
fit(epochs=5, checkpoint=jnn.Checkpoint("run", every_epochs=5))
kept = sorted(path.name for path in Path("run").iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
big = jnn.init_network_params([1, 100, 1], jax.random.key(0))
for call in (
    lambda: jnn.save("net", big),
    lambda: __import__("jnn.figures").figures.save(jnn.figures.matrix(np.eye(2)), "f", png=False),
):
    try:
        call()
    except OSError as error:
        assert "File too large" in str(error), error
    else:
        raise AssertionError("nothing was said")
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    result = fit(epochs=10, checkpoint="run")  # what was trained is not lost
assert (result.resumed, result.epochs, result.stopped) == (5, 10, "epochs")
assert ["File too large" in str(one.message) for one in said] == [True]
assert [Path(one.filename).name for one in said] == ["script.py"]
assert Path("net").read_bytes() == before
assert sorted(path.name for path in Path("run").iterdir()) == kept
assert sorted(path.name for path in Path().iterdir()) == ["net", "run"], list(Path().iterdir())
assert fit(epochs=5, checkpoint="run").resumed == 5
"""

READ_ONLY = """
import jnn.figures
jnn.save("net", start())
before = Path("net").read_bytes()
refuse = lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
os.chmod(".", 0o555)
if os.geteuid() == 0:  # whom no mode stops: as a file system that is mounted read-only would
    Path.open, opened = (lambda self, mode="r", *a, **k: refuse() if "x" in mode or "w" in mode
                         else opened(self, mode, *a, **k)), Path.open
    Path.mkdir = refuse
for call in (
    lambda: jnn.save("net", start(1)),
    lambda: jnn.save("other", start(1)),
    lambda: fit(checkpoint="run"),
    lambda: jnn.figures.save(jnn.figures.matrix(np.eye(2)), "figures/f", png=False),
):
    try:
        call()
    except OSError as error:
        assert "ermission denied" in str(error), error
    else:
        raise AssertionError("nothing was said")
assert Path("net").read_bytes() == before
assert [path.name for path in Path().iterdir()] == ["net"]
assert jnn.sizes(jnn.load("net")) == (1, 4, 1)
"""

DELETED = """
where = Path("gone"); where.mkdir(); os.chdir(where); os.rmdir(Path("..") / "gone")
assert fit(progress=False).epochs == 20
for call in (
    lambda: jnn.save("net", start()), lambda: fit(checkpoint="run"), lambda: jnn.load("net")
):
    try:
        call()
    except OSError as error:
        print(error)
    else:
        raise AssertionError("nothing was said")
"""

DEVICE = """
for path in ("/dev/full", "/dev/null"):
    try:
        jnn.save(path, start())
    except ValueError as error:
        assert "is not a regular file" in str(error)
    else:
        raise AssertionError("nothing was said")
"""

C = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
# the program, its arguments, what is set (None: unset) in its environment, options of Python
PROCESSES = {
    "threads": (THREADS, [], {}, []),
    "threads that compile at once": (COLD_THREADS, [], {}, []),
    "fork": (FORKED, ["fork"], {}, []),
    "spawn": (FORKED, ["spawn"], {}, []),
    "forkserver": (FORKED, ["forkserver"], {}, []),
    "python -O": (TEXTS, [], {}, ["-O"]),
    "python -OO": (TEXTS, [], {}, ["-OO"]),
    "locale C": (TEXTS, [], C | {"PYTHONIOENCODING": "ascii:backslashreplace"}, []),
    "locale C, files": (TEXTS.partition("print")[0], [], C, []),
    "no HOME": (TEXTS, [], {"HOME": None, "USER": None, "XDG_CACHE_HOME": None}, []),
    "a HOME that is not there": (TEXTS, [], {"HOME": "/nowhere/at/all"}, []),
    **{
        f"{name} closed, {how}": (CLOSED, [str(number), how], {}, [])
        for number, name in enumerate(("stdin", "stdout", "stderr"))
        for how in ("None", "broken")
    },
    "standard error without a reader": (PIPE, [], {}, []),
    # where programs are kept is another disk
    "a full disk": (FULL, [], {"JAX_COMPILATION_CACHE_DIR": None}, []),
    "a full device": (DEVICE, [], {}, []),
    "a read-only directory": (READ_ONLY, [], {}, []),
    "a deleted working directory": (DELETED, [], {}, []),
}


@pytest.mark.parametrize("name", PROCESSES)
def test_it_works_there_or_says_why_not(name, tmp_path):
    program, arguments, changed, options = PROCESSES[name]
    script, where = tmp_path / "script.py", tmp_path / "where"
    script.write_text(SHARED + program, encoding="utf-8")
    where.mkdir()
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"} | changed
    environment = {key: value for key, value in environment.items() if value is not None}
    command = [sys.executable, *options, str(script), *arguments]
    done = subprocess.run(
        command, capture_output=True, check=False, cwd=where, env=environment, timeout=300
    )
    said = done.stderr.decode(errors="replace")
    assert done.returncode == 0, said[-3_000:]
    assert "Traceback" not in said, said[-3_000:]
    if program is CLOSED:
        assert (where / "done").exists()
    where.chmod(0o755)
