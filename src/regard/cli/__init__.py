"""The command line: one module a verb, which parses, calls the library and prints.

Results go to stdout, everything else to stderr. What concerns the whole process is set here, before anything heavy is
imported: how it ends on a signal, and where its streams lead.
"""

import errno
import os
import signal
import sys


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 2 a mistake of the user, 1 ours or nobody read on; a signal ends it as a signal does (130, 143).
    """
    end_on_signals()
    fill_closed_streams()
    code = run()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        # DDP keeps Gloo's threads beyond the end of their group, where a dying interpreter may meet them and abort.
        os._exit(code)
    sys.exit(code)


def end_on_signals() -> None:
    """Let SIGINT and SIGTERM end the process at once, wherever it stands; a training takes them over while it runs.

    A handler of Python's would wait for native code to come back, and what it raises can be swallowed by whatever is
    being imported. A signal that our parent has us ignore stays ignored.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def fill_closed_streams() -> None:
    """Open what stands for nothing where a standard stream was closed, so that no file of ours takes its number."""
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets the lowest free number, which is this one


def run() -> int:
    """Run the command line and return its exit code."""
    # Imported only now: a signal has to end the process while these are, too.
    from regard.cli.app import app
    from regard.cli.saying import in_flags, say
    from regard.errors import RegardError

    try:
        try:
            app()
        finally:
            # What is buffered is written here: at the interpreter's end an error would be a traceback and code 120.
            print(end="", flush=True)
    except RegardError as error:
        say(f"regard: {in_flags(error)}")
        return 2
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)  # as Python itself does
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EPIPE):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # where what is left of the output goes
        if error.errno == errno.EPIPE:  # whoever read it has seen enough
            return 1
        say("regard: the disk is full, so the output is not whole. Free space, then run the command again.")
        return 2
    return 0
