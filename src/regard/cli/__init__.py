"""The command line: one module per command, which parses, calls the library and prints.

Results go to stdout, everything else to stderr. Signals and standard streams concern the whole process, so they are set
up here, before any slow import.
"""

import errno
import os
import signal
import sys


def main() -> None:
    """Run the command line.

    Exit codes: 0 success; 2 a mistake of the user; 1 a failed proof, a bug of ours, or a reader that closed the pipe. A
    signal gives its usual code (130, 143).
    """
    end_on_signals()
    fill_closed_streams()
    code = run()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        # DDP keeps Gloo's threads alive after the end of their group, and the interpreter may abort on them at exit.
        os._exit(code)
    sys.exit(code)


def end_on_signals() -> None:
    """Let SIGINT and SIGTERM end the process at once; a training installs its own handlers while it runs.

    A Python handler would wait until native code returns, and its exception may be swallowed by a module that is being
    imported. A signal that the parent process has set to be ignored stays ignored.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def fill_closed_streams() -> None:
    """Open the null device in place of each closed standard stream, so that no file of ours gets its number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one


def run() -> int:
    """Run the command line and return its exit code."""
    # Imported only now, so that a signal ends the process during these imports, too.
    from regard.cli.app import app
    from regard.cli.saying import in_flags, say
    from regard.errors import RegardError

    try:
        try:
            app()
        finally:
            # Flushed here: at the interpreter's exit, an error would give a traceback and code 120.
            print(end="", flush=True)
    except RegardError as error:
        say(f"regard: {in_flags(error)}")
        return 2
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)  # as Python itself does
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EPIPE):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the rest of the output
        if error.errno == errno.EPIPE:  # the reader has closed the pipe
            return 1
        say("regard: the disk is full, so the output is incomplete. Free space, then run the command again.")
        return 2
    return 0
