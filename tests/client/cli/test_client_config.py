"""Where options come from: flag over environment over file, and what is said of a file that cannot be meant."""

import json
import os

import pytest


@pytest.fixture
def configured(tmp_path, genclient):
    """`configured(text)` runs `config show …` with this file; gives its JSON."""

    def run(text, *arguments, **variables):
        path = tmp_path / "config.toml"
        path.write_text(text)
        environment = {**clean_environment(), "GENCLIENT_CONFIG": str(path), **variables}
        done = genclient("config", "show", *arguments, "--format", "json", env=environment)
        assert done.returncode == 0, done.stderr.decode()
        data = json.loads(done.stdout)
        return {(row["command"], row["option"]): row for row in data["options"]}, data

    return run


def clean_environment():
    """This process's environment without variables of genclient's."""
    return {name: value for name, value in os.environ.items() if not name.startswith("GENCLIENT_")}


def source_of(row):
    """The value and where it is from, without the folder of the file."""
    where = None if row["where"] is None else os.path.basename(row["where"])
    return row["value"], row["source"], where


def test_a_flag_goes_before_the_environment_and_that_before_the_file(configured):
    text = 'target = "a:1"\nmodel = "cats"\ntimeout = 5\n'
    rows, _ = configured(text, "--target", "c:3", GENCLIENT_TARGET="b:2", GENCLIENT_MODEL="dogs")
    assert source_of(rows[None, "target"]) == ("c:3", "flag", None)
    assert source_of(rows[None, "model"]) == ("dogs", "environment", "GENCLIENT_MODEL")
    assert source_of(rows[None, "timeout"]) == (5.0, "file", "config.toml:3: timeout")
    assert source_of(rows[None, "concurrency"]) == (4, "default", None)


def test_what_is_meant_for_one_command_goes_before_what_is_meant_for_all(configured):
    text = 'truncation = 0.5\nsignature = "png"\n[sample]\ntruncation = 0.7\n'
    rows, _ = configured(text, "sample", GENCLIENT_SEED="3", GENCLIENT_SAMPLE_SEED="4")
    assert source_of(rows["sample", "truncation"]) == (0.7, "file", "config.toml:4: sample.truncation")
    assert source_of(rows["sample", "signature"])[1:] == ("file", "config.toml:2: signature")
    assert source_of(rows["sample", "seed"])[1:] == ("environment", "GENCLIENT_SAMPLE_SEED")
    rows, _ = configured(text, "bench", GENCLIENT_SEED="3", GENCLIENT_SAMPLE_SEED="4")
    assert source_of(rows["bench", "truncation"])[0] == 0.5
    assert source_of(rows["bench", "seed"])[::2] == (3, "GENCLIENT_SEED")


def test_without_a_command_all_that_is_set_is_listed(configured):
    rows, data = configured("[bench]\nduration = 2\n", GENCLIENT_SAMPLE_N="7", GENCLIENT_TYPO="1")
    assert source_of(rows["bench", "duration"]) == (2.0, "file", "config.toml:2: bench.duration")
    assert rows["sample", "n"]["source"] == "environment"
    assert ("sample", "out") not in rows
    assert data["unknown_variables"] == ["GENCLIENT_TYPO"]


def test_the_values_are_used(serve, genclient, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(f'target = "{serve().target}"\n[sample]\nn = 2\nout = "from-file.npz"\n')
    done = genclient("--config", path, "sample", env=clean_environment())
    assert (done.returncode, done.stdout) == (0, b"from-file.npz\n")
    variables = {"GENCLIENT_CONFIG": str(path), "GENCLIENT_OUT": "from-environment.npz"}
    done = genclient("sample", env={**clean_environment(), **variables})
    assert done.stdout == b"from-environment.npz\n"
    assert genclient("sample", "--out", "flag.npz", env={**clean_environment(), **variables}).stdout == b"flag.npz\n"


def test_of_options_that_exclude_each_other_the_nearest_counts(serve, genclient, fails, tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(f'target = "{serve().target}"\nseed = 9\nn = 2\n')
    flags = ("--config", path, "sample", "--dry-run", "--format", "quiet", "--out", "pictures/")
    assert genclient(*flags, "--seeds", "5,7,8").stdout.decode().split() == [
        f"pictures/seed{seed:04}.png" for seed in (5, 7, 8)
    ]
    variables = {**clean_environment(), "GENCLIENT_SEEDS": "5"}
    assert genclient(*flags, env=variables).stdout == b"pictures/seed0005.png\n"
    assert genclient(*flags, "--n", "1", env=variables).stdout == b"pictures/seed0009.png\n"
    code, line = fails(*flags, "--seeds", "5", "--seed", "9")
    assert (code, "found both" in line) == (2, True)


def test_the_users_own_file_is_found(genclient, tmp_path):
    environment = {**clean_environment(), "XDG_CONFIG_HOME": str(tmp_path), "HOME": str(tmp_path)}
    path = genclient("config", "path", env=environment).stdout.decode().strip()
    assert path.startswith(str(tmp_path))
    shown = genclient("config", "show", env=environment).stdout.decode()
    assert f"{path}" in shown.splitlines()[0]
    assert "(not there)" in shown.splitlines()[0]
    os.makedirs(os.path.dirname(path))
    with open(path, "w") as file:
        file.write('model = "mine"\n')
    shown = genclient("config", "show", env=environment).stdout.decode()
    assert "(not there)" not in shown
    assert [line.split() for line in shown.splitlines() if line.startswith("model ")] == [
        ["model", "mine", "file", f"{path}:1:", "model"]
    ]


def test_a_home_that_cannot_be_read_is_no_obstacle(genclient, tmp_path):
    (tmp_path / "file").write_text("")
    done = genclient("config", "show", env={**clean_environment(), "XDG_CONFIG_HOME": str(tmp_path / "file")})
    assert done.returncode == 0, done.stderr.decode()
    assert b"(not there)" in done.stdout


def test_tables_lists_and_pairs_are_taken(configured):
    text = 'header = ["x-a: 1", "x-b=2"]\nmap = {latents = "z"}\noutput-range = [-1, 1]\ntls = true\n'
    rows, _ = configured(text)
    assert rows[None, "header"]["value"] == {"x-a": "(hidden)", "x-b": "(hidden)"}
    assert rows[None, "map"]["value"] == {"latents": "z"}
    assert rows[None, "output-range"]["value"] == [-1, 1]
    assert rows[None, "tls"]["value"] is True
    rows, _ = configured("", GENCLIENT_MAP="latents=z,images=out", GENCLIENT_HEADER="x-a: 1, 2\nx-b: 3")
    assert rows[None, "map"]["value"] == {"latents": "z", "images": "out"}
    assert list(rows[None, "header"]["value"]) == ["x-a", "x-b"]


def test_secrets_are_not_shown(configured):
    rows, data = configured('[header]\nx-key = "geheim"\n', GENCLIENT_TOKEN="geheim")
    assert rows[None, "token"]["value"] == "(hidden)"
    assert "geheim" not in json.dumps(data)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('model = "a"\ntarget = \n', ":2: target: "),
        ('model = "a"\nmodel = "b"\n', ":2: model: "),
        ("\n\ntarjet = 'a:1'\n", ":3: tarjet: found no option of that name; near it is target"),
        ("[sampel]\nn = 4\n", ":2: sampel.n: found no command sampel; near it is sample"),
        ("[sample]\n# n\nduration = 4\n", ":3: sample.duration: found no option of that name of sample"),
        ("[status]\ntimeout = 'soon'\n", ":2: status.timeout: 'soon' is not a valid float"),
        ("timeout = true\n", ":1: timeout: found true, expected text or a number"),
        ("timeout = [1]\n", ":1: timeout: found an array, expected text or a number"),
        ("tls = 'yes'\n", ":1: tls: found 'yes', expected true or false"),
        ("timeout = -1\n", "timeout: found -1.0, expected seconds above 0 ("),
        ("compression = 'zip'\n", ":1: compression: 'zip' is not one of"),
        ('max-message-bytes = 5000\n"max_message_bytes" = 6000\n', ":2: max_message_bytes: found it twice"),
        ("header = 'x'\n", ":1: header: found 'x', expected NAME=VALUE"),
        ("model = '\x00'\n", ":1: model: "),
        ("caf\udce9 = 1\n", ":1: found bytes that are not UTF-8"),
        ("x = " + "[" * 5000, ":1: x: "),
    ],
)
def test_an_error_names_file_line_and_key(refused, tmp_path_factory, text, line):
    path = tmp_path_factory.mktemp("settings") / "config.toml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    found = refused("--config", path, "status")
    assert str(path) in found
    assert line in found


def test_it_is_one_line_with_exit_code_2(fails, tmp_path):
    (tmp_path / "bad.toml").write_text("\ntimeout = {\n")
    code, found = fails("--config", "bad.toml", "status", env=clean_environment())
    assert (code, found.startswith("bad.toml:2: timeout: ")) == (2, True)


def test_an_error_names_the_variable(fails):
    code, line = fails("bench", env={**clean_environment(), "GENCLIENT_BENCH_DURATION": "x"})
    assert (code, line) == (2, "GENCLIENT_BENCH_DURATION: 'x' is not a valid float.")
    code, line = fails("status", env={**clean_environment(), "GENCLIENT_TARGET": "::1:8500"})
    assert (code, line.endswith("(GENCLIENT_TARGET)")) == (2, True)


def test_a_file_that_is_named_must_be_there_but_help_is_shown_without_it(fails, genclient, tmp_path):
    code, line = fails("--config", "no.toml", "status", env=clean_environment())
    assert (code, line) == (2, "--config: found no file no.toml, expected one, or none to be named")
    code, line = fails("status", env={**clean_environment(), "GENCLIENT_CONFIG": str(tmp_path)})
    assert (code, line) == (2, f"--config: cannot read {tmp_path}: Is a directory")
    assert genclient("--config", "no.toml", "status", "--help").returncode == 0


def test_an_unknown_command_of_show_is_named(fails):
    assert fails("config", "show", "smaple")[1].startswith("config show: found 'smaple', expected one of sample,")
