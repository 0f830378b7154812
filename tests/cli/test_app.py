import logging
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from kerascnn.cli import app as cli
from kerascnn.cli import messages
from kerascnn.cli.app import RequirementError
from kerascnn.errors import InputError, TrainingStopped, UsageError

METRICS = {"accuracy": 0.9871, "error": 0.0129, "data": "mnist"}


def ended(app_body, arguments, capsys):
    """(exit code, stdout, stderr) of an app whose only command is app_body."""
    app = cli.create_app("A test.")
    app.command(app_body, name="command")
    with pytest.raises(SystemExit) as caught:
        cli.run(app, arguments)
    out = capsys.readouterr()
    return caught.value.code, out.out, out.err


@pytest.mark.parametrize(
    ("error", "code"), [(UsageError, 2), (InputError, 3), (RequirementError, 4), (TrainingStopped, 5)]
)
def test_what_a_user_can_fix_is_one_line_and_its_exit_code(error, code, capsys):
    def command():
        raise error("Scans/page.png is blank; turn it over")

    assert ended(command, ["command"], capsys) == (code, "", "error: Scans/page.png is blank; turn it over\n")


def test_an_argument_of_the_library_is_told_as_its_flag(capsys):
    def command():
        raise UsageError("learning_rate is -1; give a number of at least 0", argument="learning_rate")

    words = "error: --learning-rate is -1; give a number of at least 0\n"
    assert ended(command, ["command"], capsys) == (2, "", words)


def test_what_a_name_has_in_it_moves_no_cursor_and_stays_on_the_line(capsys):
    def command():
        messages.note("run folder: a\n\x1b[31m")
        logging.getLogger("kerascnn").warning("cannot decode %s", "b\r")
        raise InputError("no file c\x1b[2J; correct the path")

    words = "run folder: a\\n\\x1b[31m\nnote: cannot decode b\\r\nerror: no file c\\x1b[2J; correct the path\n"
    assert ended(command, ["command"], capsys) == (3, "", words)


def test_a_path_that_the_system_does_not_take_is_an_error_of_its_user(capsys):
    def command():
        Path("x" * 1000).is_dir()

    words = f"error: cannot use {'x' * 1000} (File name too long); correct the path\n"
    assert ended(command, ["command"], capsys) == (3, "", words)


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_requirement_is_a_finite_number(number):
    with pytest.raises(UsageError, match=f"^--require 'error={number}' has no number; write error=0.99$"):
        cli.parse_requirements([f"error={number}"])


def test_what_the_library_logs_is_said_once_on_stderr_and_only_while_an_app_runs(capsys):
    logger = logging.getLogger("kerascnn.training")

    def command():
        root = logging.StreamHandler()
        logging.getLogger().addHandler(root)
        logger.info("resuming after epoch %d", 3)
        logger.warning("there is nothing to resume")
        logging.getLogger().removeHandler(root)

    for _ in range(2):
        words = "resuming after epoch 3\nnote: there is nothing to resume\n"
        assert ended(command, ["command"], capsys) == (0, "", words)
    assert not logging.getLogger("kerascnn").handlers
    assert logging.getLogger("kerascnn").propagate


def test_an_interruption_says_how_to_go_on(capsys):
    def command():
        raise KeyboardInterrupt

    words = "error: interrupted; give the same command again (a training goes on with --resume)\n"
    assert ended(command, ["command"], capsys) == (130, "", words)


PYTHON = shlex.quote(sys.executable)


def test_a_name_that_is_no_utf8_is_printed_as_it_is():
    program = "from kerascnn.cli import app as cli; cli.run(lambda *_, **__: print('\\udcff'))"
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8:strict"}
    ran = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True)
    assert (ran.returncode, ran.stdout) == (0, b"\xff\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
@pytest.mark.parametrize(
    ("redirected", "code", "said"),
    [
        (
            ">/dev/full",
            3,
            "error: cannot write what is answered (No space left on device); make room, or choose another",
        ),
        (">&-", 0, ""),
        ("<&- >&- 2>&-", 0, ""),
        ("2>/dev/full", 0, ""),
    ],
)
@pytest.mark.parametrize("flush", [True, False])
def test_what_cannot_be_written_ends_in_one_line_or_is_not_missed(flush, redirected, code, said):
    program = f"from kerascnn.cli import app as cli; cli.run(lambda *_, **__: print(1, flush={flush}))"
    command = f'{PYTHON} -c "{program}" {redirected}'
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (ran.returncode, ran.stderr.count("\n")) == (code, 1 if said else 0)
    assert ran.stderr.startswith(said)


def test_a_message_that_cannot_be_written_leaves_the_exit_code():
    program = "from kerascnn.cli import app as cli; cli.fail('no file', 3)"
    ran = subprocess.run(f'{PYTHON} -c "{program}" 2>/dev/full', shell=True, cwd=Path(__file__).parents[2])
    assert ran.returncode == 3


@pytest.mark.parametrize("error", [KeyError("missing"), ValueError("could not broadcast")])
def test_a_bug_keeps_its_traceback(error, capsys):
    def command():
        raise error

    code, _, err = ended(command, ["command"], capsys)
    assert code == 1
    assert "Traceback" in err
    assert f"{type(error).__name__}: {error}\n" in err


def test_success_ends_with_zero(capsys):
    assert ended(lambda: messages.result({"a": 1}), ["command"], capsys) == (0, '{"a": 1}\n', "")


def test_an_unknown_command_lists_the_commands(capsys):
    code, _, err = ended(lambda: None, ["commandd"], capsys)
    assert code == 2
    assert err.startswith("error: unknown command")
    assert "command" in err
    assert err.endswith("; --help lists what is taken\n")
    assert err.count("\n") == 1


def test_requirements_that_hold_pass():
    cli.require(METRICS, cli.parse_requirements(["accuracy=0.98", "error=0"]))


def test_a_missed_requirement_gives_both_figures():
    with pytest.raises(RequirementError, match=r"^accuracy is 0.9871, required 0.99; improve it, or require less$"):
        cli.require(METRICS, {"accuracy": 0.99})
    with pytest.raises(RequirementError, match=r"^readable is 0.99998, required 1; improve it, or require less$"):
        cli.require({"readable": 0.99998}, {"readable": 1.0})


@pytest.mark.parametrize("name", ["precision", "data", ""])
def test_an_unknown_metric_lists_the_metrics(name):
    with pytest.raises(UsageError, match=f"names no metric '{name}'; choose one of accuracy, error"):
        cli.require(METRICS, {name: 0.5})


@pytest.mark.parametrize("text", ["accuracy", "accuracy=high", "accuracy=", ""])
def test_a_requirement_without_a_number_says_how_to_write_it(text):
    with pytest.raises(UsageError, match="has no number; write accuracy=0.99"):
        cli.parse_requirements([text])


@pytest.mark.long
def test_tensorflow_is_loaded_without_a_word_and_without_what_no_command_uses():
    code = "import sys; from kerascnn.tensorflow_setup import load_tensorflow as load; load(); "
    code += "print(*(name in sys.modules for name in ('tensorflow', 'sklearn', 'matplotlib'))); "
    code += "import matplotlib.pyplot, sklearn"  # they are there afterwards
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (ran.stdout, ran.stderr) == ("True False False\n", "")


def test_a_reader_that_closes_the_pipe_is_no_error():
    code = "from kerascnn.cli import app as cli; a = cli.create_app(''); "
    code += "a.command(lambda: [print(i) for i in range(10**6)], name='v'); cli.run(a, ['v'])"
    command = f'{PYTHON} -c "{code}" | head -1'
    ran = subprocess.run(command, shell=True, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (ran.stdout, ran.stderr) == ("0\n", "")


def test_words_that_nobody_hears_end_no_work():
    code = "import sys; from kerascnn.cli.messages import note; [note(str(i)) for i in range(9999)]; print('done')"
    command = f'{PYTHON} -c "{code}" 2> >(head -1 >&2)'
    found = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout, found.stderr) == (0, "done\n", "0\n")
