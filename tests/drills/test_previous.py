"""The drill of `scripts/drill previous`: the earlier code that it finds, and one short run of it."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.databases import DATABASES
from tests.drills.previous import NoEarlier, checked_out, find_earlier, run_drill

VERSIONS = "app/db/migrations/versions"


class Repository:
    """A repository with a commit for each migration, and one more on top."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / VERSIONS).mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch", "main")

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=drill", "-c", "user.email=drill@suxin.test"]
        done = subprocess.run(
            ["git", *who, *arguments], cwd=self.folder, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    def commit(self, name: str) -> str:
        (self.folder / VERSIONS / name).write_text(name)
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", name)
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path / "made")


def test_the_earlier_commit_is_the_newest_without_the_newest_migration(repository, tmp_path):
    repository.commit("0001_a.py")
    repository.commit("__init__.py")
    before = repository.commit("notes.txt")
    repository.commit("0002_b.py")
    repository.commit("more.txt")
    assert find_earlier(repository.folder) == before
    with checked_out(before, tmp_path, repository.folder) as code:
        assert sorted(path.name for path in (code / VERSIONS).iterdir()) == [
            "0001_a.py", "__init__.py", "notes.txt",
        ]  # fmt: skip
    assert not code.exists()
    assert len(repository.git("worktree", "list").splitlines()) == 1


def test_what_was_never_on_the_main_line_is_no_release(repository):
    before = repository.commit("0001_a.py")
    repository.git("checkout", "--quiet", "-b", "side")
    repository.commit("side.txt")
    repository.git("checkout", "--quiet", "main")
    repository.commit("0002_b.py")
    repository.git("merge", "--quiet", "--no-edit", "side")
    assert find_earlier(repository.folder) == before


def test_without_that_history_it_says_so(repository, tmp_path):
    repository.commit("0001_a.py")
    with pytest.raises(NoEarlier, match=r"No commit here is from before 0001_a.py\."):
        find_earlier(repository.folder)
    repository.commit("0002_b.py")
    shallow = tmp_path / "shallow"
    url = f"file://{repository.folder}"
    subprocess.run(["git", "clone", "--quiet", "--depth=1", url, shallow], check=True)
    with pytest.raises(NoEarlier, match="git fetch --unshallow"):
        find_earlier(shallow)
    (tmp_path / "unpacked" / VERSIONS).mkdir(parents=True)
    (tmp_path / "unpacked" / VERSIONS / "0001_a.py").touch()
    with pytest.raises(NoEarlier, match="git rev-list brings no earlier code here"):
        find_earlier(tmp_path / "unpacked")
    with (
        pytest.raises(NoEarlier, match="git worktree"),
        checked_out("nothing", tmp_path, repository.folder),
    ):
        raise AssertionError


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["postgresql"])
def test_the_release_before_goes_on_while_its_database_is_migrated(kind, tmp_path, databases):
    assert DATABASES is databases
    try:
        commit = find_earlier()
        with checked_out(commit, tmp_path) as code:
            told = run_drill(code, tmp_path, load_s=1.5)
    except NoEarlier as err:
        pytest.skip(str(err))
    print(told)
    assert min(told.before, told.alone, told.beside, told.after) > 0
