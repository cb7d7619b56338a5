"""Create the virtual environment of this checkout from the locked, hashed requirements.

Runs on whatever python3 the machine has, so it uses only what old versions know and says in one
line what helps when this one is too old or cannot build an environment.
"""

import os
import subprocess
import sys

# by lock file: the oldest glibc that its wheels run on, and the make target that installs it
NEEDS = {"requirements-dev.lock": ("2.28", "setup"), "requirements.lock": ("2.27", "setup-node")}


def say(line):  # noqa: ANN001, ANN201, D103  (must parse on any Python 3)
    sys.stderr.write(line + "\n")


def fail(line):  # noqa: ANN001, ANN201, D103
    say("hotspare: " + line)
    sys.exit(2)


def check_machine():  # noqa: ANN201, D103
    if sys.version_info < (3, 11):  # noqa: UP036  (the whole point of this file)
        fail(
            "needs Python 3.11 or newer, this is %d.%d; install one and run: "  # noqa: UP031
            "make demo PYTHON=python3.12" % sys.version_info[:2]
        )
    if not sys.platform.startswith("linux"):
        fail("runs on 64-bit Linux only (the kernel fence needs it); use a Linux machine or VM")
    if sys.maxsize < 2**32:
        fail("needs a 64-bit Python; install the 64-bit system image of this board")


def run(command, problem):  # noqa: ANN001, ANN201, D103
    if subprocess.call(command) != 0:  # noqa: S603
        fail(problem)


def main():  # noqa: ANN201, D103
    check_machine()
    venv, lock = sys.argv[1:3]
    python = os.path.join(venv, "bin", "python")  # noqa: PTH118
    try:
        import ensurepip  # noqa: F401, PLC0415
    except ImportError:
        fail("this Python cannot create environments; on Debian run: apt install python3-venv")
    say("hotspare: installing the locked requirements into %s (about a minute)" % venv)  # noqa: UP031
    run([sys.executable, "-m", "venv", venv], "could not create " + venv)
    pip = [python, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    # the store server of demo and tests is built for a newer glibc than all that a box needs
    glibc, target = NEEDS.get(os.path.basename(lock), ("2.28", "setup"))  # noqa: PTH119
    run(
        [*pip, "--require-hashes", "--only-binary=:all:", "-r", lock],
        "installing failed (see above): is the network there, and is this glibc %s or newer "  # noqa: UP031
        "on x86-64 or arm64? run `make %s` again afterwards" % (glibc, target),
    )
    # compiled at install, so that no start on a slow board pays for it (pip did so for the rest)
    # setuptools warns about editable installs as such, with a page that would frighten a newcomer
    os.environ["PYTHONWARNINGS"] = "ignore"
    run([*pip, "--no-deps", "--no-build-isolation", "-e", "."], "installing hotspare failed")
    packages = ["alerts", "election", "exchange", "node", "strategy"]
    run([python, "-m", "compileall", "-q", *packages], "compiling hotspare failed")


main()
