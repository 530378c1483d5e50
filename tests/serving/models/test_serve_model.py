"""The versions of one model in this process: which are loaded and unloaded, when, and in which order."""

from __future__ import annotations

import threading

import grpc
import pytest
from genserve.errors import ServeError
from genserve.models.model import Model
from genserve.models.states import Retries, State
from genserve.repository.versions import ALL, Policy, is_version, versions_in

START, LOADING, END = 10, 20, 50


def test_broken_version_is_tried_again_only_when_its_files_have_changed_and_lain_still(tmp_path):
    tries = []

    def load(name, version, path):
        tries.append(version)
        raise ServeError(grpc.StatusCode.INTERNAL, "broken")

    model = Model("toy", tmp_path, load, Retries(count=1, seconds=0))
    (tmp_path / "1").mkdir()
    for _ in range(5):
        model.poll()
    assert tries == [1] * 2
    for content in (b"half", b"hole"):  # the second of the same size
        before = len(tries)
        (tmp_path / "1" / "saved_model.pb").write_bytes(content)
        model.poll()
        assert len(tries) == before
        for _ in range(5):
            model.poll()
        assert len(tries) == before + 2
    (tmp_path / "2").mkdir()
    model.poll()
    assert tries == [1] * 6 + [2] * 2


def test_file_that_is_written_while_its_version_loads_counts_as_a_change(tmp_path):
    tries = []

    def load(name, version, path):
        tries.append(version)
        (path / f"written-by-try-{min(len(tries), 2)}").touch()
        raise ServeError(grpc.StatusCode.INTERNAL, "broken")

    model = Model("toy", tmp_path, load, Retries(count=0))
    (tmp_path / "1").mkdir()
    for _ in range(3):
        model.poll()
    assert tries == [1, 1]


def test_of_two_names_for_a_number_the_last_in_the_alphabet_counts(tmp_path):
    for name in ("1", "+1", "001"):
        (tmp_path / name).mkdir()
    assert versions_in(tmp_path) == {1: tmp_path / "1"}


def test_versions_are_numbers_of_64_bits(tmp_path):
    numbers = [str(2**63 - 1), str(-(2**63)), "0"]
    for name in (*numbers, str(2**63), str(-(2**63) - 1), "9" * 30, "1.0", "1_0", "٣", "", " 1"):
        assert is_version(name) is (name in numbers), name


class Opened:
    """A loaded version that records when it is closed."""

    def __init__(self, events, version):
        self.events, self.version = events, version

    def close(self):
        self.events.append(("unload", self.version))


@pytest.fixture
def recorded(tmp_path):
    """A model whose loads and unloads are recorded, of versions 1, 2 and 3; those in `broken` do not load."""
    events, broken = [], set()

    def load(name, version, path):
        events.append(("load", version))
        if version in broken:
            raise ServeError(grpc.StatusCode.INTERNAL, "broken")
        return Opened(events, version)

    for version in (1, 2, 3):
        (tmp_path / str(version)).mkdir()
    model = Model("toy", tmp_path, load, Retries(count=2, seconds=0.05))
    return model, events, broken


def test_failed_load_is_tried_as_often_as_the_flags_say_and_meanwhile_loading_with_the_error(recorded, until):
    model, events, broken = recorded
    broken.add(3)
    model.poll()
    status = model.statuses()[3]
    assert (events, int(status.state), status.error.message) == ([("load", 3)], LOADING, "broken")
    assert not model.abandoned()
    until(lambda: model.poll() or len(events) == 3)
    assert int(model.statuses()[3].state) == END
    assert model.abandoned()[3].message == "broken"
    assert model.next_try() == float("inf")
    model.poll()
    assert len(events) == 3


def test_version_that_ended_with_an_error_starts_anew_when_it_is_wanted_again(recorded, tmp_path):
    model, _, broken = recorded
    broken.add(3)
    model.configure(tmp_path, Policy(specific=frozenset({3})))
    model.poll()
    model.retire()
    model.poll()
    model.configure(tmp_path, Policy(specific=frozenset({3})))
    model.look()
    assert (int(model.statuses()[3].state), model.statuses()[3].error, model.abandoned()) == (START, None, {})
    broken.clear()
    model.settle()
    assert model.available() == [3]


def test_version_that_loads_at_a_later_try_is_served(recorded, until):
    model, _, broken = recorded
    broken.add(3)
    model.poll()
    broken.clear()
    until(lambda: model.poll() or model.available() == [3])
    assert model.statuses()[3].error is None


def test_tries_are_counted_anew_once_a_version_has_been_served(recorded, tmp_path, until):
    model, events, broken = recorded
    broken.add(3)
    model.poll()
    broken.clear()
    until(lambda: model.poll() or model.available() == [3])
    model.configure(tmp_path, Policy(specific=frozenset({2})))
    model.poll()
    events.clear()
    broken.add(3)
    model.configure(tmp_path, Policy(specific=frozenset({2, 3})))
    until(lambda: model.poll() or model.statuses()[3].state == State.END)
    assert events == [("load", 3)] * 3


def test_version_that_is_still_used_is_unloading_and_takes_no_new_requests(recorded, tmp_path, until):
    model, events, _ = recorded
    model.poll()
    model.configure(tmp_path, Policy(specific=frozenset({2})))
    with model.use(3):
        watcher = threading.Thread(target=model.poll, daemon=True)
        watcher.start()
        until(lambda: model.statuses()[3].state == State.UNLOADING)
        assert model.available() == [2]
        with pytest.raises(ServeError, match=r"Specific\(toy, 3\)"), model.use(3):
            pass
        assert ("unload", 3) not in events
    watcher.join(60)
    assert (events[-1], model.statuses()[3].state) == (("unload", 3), State.END)


def test_standing_complaint_is_logged_once(recorded, tmp_path, caplog):
    model, _, _ = recorded
    model.configure(tmp_path, Policy(specific=frozenset({1, 7})))
    for _ in range(3):
        model.poll()
    model.configure(tmp_path / "none", Policy())
    for _ in range(3):
        model.poll()
    assert [record.getMessage() for record in caplog.records if record.levelname == "WARNING"] == [
        f"toy version 7 is asked for by the policy, but not under {tmp_path}",
        f"could not read base path {tmp_path / 'none'} for toy: No such file or directory",
    ]


def test_broken_version_that_is_taken_away_ends_with_its_error(recorded, tmp_path):
    model, events, broken = recorded
    broken.add(3)
    model.poll()
    (tmp_path / "3").rmdir()
    model.poll()
    assert (int(model.statuses()[3].state), model.statuses()[3].error.message) == (END, "broken")
    assert (events[-1], model.available()) == (("load", 2), [2])


@pytest.mark.parametrize(
    ("policy", "served"),
    [
        (Policy(), [3]),
        (Policy(latest=2), [3, 2]),
        (Policy(latest=9), [3, 2, 1]),
        (ALL, [3, 2, 1]),
        (Policy(specific=frozenset({1, 3, 7})), [3, 1]),
    ],
)
def test_policy_says_which_versions_serve(recorded, tmp_path, policy, served):
    model, events, _ = recorded
    model.configure(tmp_path, policy)
    model.poll()
    assert model.available() == served
    assert events == [("load", version) for version in served]  # the highest first


def test_one_old_version_stays_until_a_new_one_serves_and_others_go_before(recorded, tmp_path):
    model, events, _ = recorded
    model.configure(tmp_path, Policy(specific=frozenset({1, 2})))
    model.poll()
    events.clear()
    model.configure(tmp_path, Policy(specific=frozenset({3})))
    model.poll()
    assert events == [("unload", 1), ("load", 3), ("unload", 2)]


def test_old_versions_stay_where_no_new_one_loads(recorded, tmp_path):
    model, _, broken = recorded
    model.configure(tmp_path, Policy(specific=frozenset({2})))
    model.poll()
    broken.add(3)
    model.configure(tmp_path, Policy(specific=frozenset({3})))
    model.poll()
    assert model.available() == [2]
