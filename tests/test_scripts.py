"""The scripts, followed in a copy of the tree where python, pip and uv only note their calls."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = ["run", "test", "check", "bench", "lock", "foreign"]
TOOLS = ["bash", "cat", "chmod", "cp", "dirname", "env", "gzip", "mkdir", "mv", "pwd", "rm", "sh"]
TOOLS += ["sed", "sha256sum", "tar", "touch"]
LOCKS = ["requirements-setup.lock", "requirements.lock", "requirements-dev.lock"]
LOCKS += ["requirements-foreign.lock"]


class Checkout:
    """A fresh clone on a machine of one's choice: only the named programs are on its PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "clone"
        self.bin = folder / "bin"
        self.log = folder / "calls"
        shutil.copytree(ROOT / "scripts", self.folder / "scripts")
        (self.folder / ".ci").mkdir()
        for name in [*LOCKS, "package-lock.json", "pyproject.toml", ".ci/run"]:
            shutil.copy(ROOT / name, self.folder / name)
        self.bin.mkdir()
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name) or f"/bin/{name}")
        self.program("id", "echo 0")
        self.program("chromium")
        self.program("chromium-headless-shell")
        self.program("npm", 'case "$1" in ci) mkdir -p node_modules;; *) exit 1;; esac')
        self.program("apt-get")
        self.has_python()

    def program(self, name: str, body: str = "") -> None:
        """Puts a program on the PATH that notes its call, then does `body`."""
        write_program(self.bin / name, f'echo "{name} $*" >>{self.log}\n{body}')

    def installed(self, name: str, body: str = "") -> None:
        """The same, inside the virtual environment."""
        write_program(self.folder / ".venv/bin" / name, f'echo "{name} $*" >>{self.log}\n{body}')

    def has_python(
        self,
        name: str = "python3",
        *,
        version: tuple[int, int] = (3, 11),
        broken_venv: bool = False,
    ) -> None:
        """A Python whose `-m venv` makes programs that only note their calls."""
        pip = self.folder.parent / "made-by-venv"
        write_program(pip, f'echo "${{0##*/}} $*" >>{self.log}\nexit {int(broken_venv)}')
        programs = "python suxin ruff mypy lint-imports"
        self.program(
            name,
            f'case "$*" in *version_info*) exit {int(version < (3, 11))};; *"venv --clear"*)\n'
            f"mkdir -p .venv/bin; for p in {programs}; do cp {pip} .venv/bin/$p; done;; esac",
        )

    def run(self, script: str, *args: str, **environment: str) -> subprocess.CompletedProcess[str]:
        self.log.write_text("")
        return subprocess.run(
            [self.folder / script, *args],
            env={"PATH": str(self.bin), "HOME": str(self.folder), **environment},
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip

    def calls(self) -> list[str]:
        """What was called, without questions of how things are, and without the camera's decoder."""
        asked = ("version_info", "import ", "config list", "id ", "venv --clear", "npm ci")
        return [c for c in self.all_calls() if not any(a in c for a in asked)]

    def all_calls(self) -> list[str]:
        return [line.strip() for line in self.log.read_text().splitlines()]


def write_program(path: Path, body: str) -> None:
    path.unlink(missing_ok=True)
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def font(tmp_path: Path) -> str:
    path = tmp_path / "some.ttf"
    path.touch()
    return str(path)


def test_run_sets_up_then_makes_the_folders_then_serves(checkout, font):
    done = checkout.run("scripts/run", "--port", "8010", SUXIN_FONT=font)
    assert done.returncode == 0, done.stderr
    pip, uv, editable, init, serve = checkout.calls()
    assert pip.startswith("python -m pip install")
    assert "--require-hashes -r requirements-setup.lock" in pip
    assert uv.endswith("--require-hashes -r requirements.lock")
    assert editable.endswith("--no-deps --no-build-isolation --editable .")
    assert (init, serve) == ("suxin init", "suxin serve --port 8010")


@pytest.mark.parametrize("asked", [["--help"], ["-h"], ["--port", "8010", "--help"]])
def test_who_asks_run_for_help_gets_help_and_no_data(checkout, font, asked):
    for args, shown in ((asked, "suxin serve --help"), (["--demo", *asked], "suxin demo --help")):
        done = checkout.run("scripts/run", *args, SUXIN_FONT=font)
        assert done.returncode == 0, done.stderr
        assert "scripts/run --demo" in done.stdout
        assert [one for one in checkout.calls() if one.startswith("suxin")] == [shown]


def test_a_demo_touches_no_folder(checkout, font):
    checkout.run("scripts/run", SUXIN_FONT=font)
    checkout.run("scripts/run", "--demo", "--port", "8011", SUXIN_FONT=font)
    assert checkout.calls() == ["suxin demo --port 8011"]


def test_what_the_program_says_is_all_that_stands_on_stdout(checkout, font):
    assert checkout.run("scripts/run", SUXIN_FONT=font).stdout == ""


def test_a_second_run_installs_nothing(checkout, font):
    checkout.run("scripts/run", SUXIN_FONT=font)
    checkout.run("scripts/run", SUXIN_FONT=font)
    assert checkout.calls() == ["suxin init", "suxin serve"]


def test_a_service_beside_the_tests_installs_nothing(checkout, font):
    checkout.run("scripts/test", SUXIN_FONT=font)
    checkout.run("scripts/run", "--demo", SUXIN_FONT=font)
    assert checkout.calls() == ["suxin demo"]
    checkout.run("scripts/run", SUXIN_FONT=font)
    with (checkout.folder / "requirements-dev.lock").open("a") as file:
        file.write("# newer\n")
    checkout.run("scripts/run", SUXIN_FONT=font)
    assert len(checkout.calls()) == 5


def test_the_cameras_decoder_is_fetched_once_by_its_lock(checkout, font):
    checkout.run("scripts/run", SUXIN_FONT=font)
    (fetched,) = [call for call in checkout.all_calls() if call.startswith("npm")]
    assert fetched.startswith("npm ci ")
    assert "--ignore-scripts" in fetched
    checkout.run("scripts/run", SUXIN_FONT=font)
    assert not [call for call in checkout.all_calls() if call.startswith("npm")]
    with (checkout.folder / "package-lock.json").open("a") as file:
        file.write("\n")
    checkout.run("scripts/run", SUXIN_FONT=font)
    assert [call for call in checkout.all_calls() if call.startswith("npm ci ")]


def test_what_tests_look_at_pages_with_comes_with_the_tests_and_stays(checkout, font):
    checkout.run("scripts/run", SUXIN_FONT=font)
    (served,) = [call for call in checkout.all_calls() if call.startswith("npm ci ")]
    checkout.run("scripts/test", SUXIN_FONT=font)
    (tested,) = [call for call in checkout.all_calls() if call.startswith("npm ci ")]
    assert "--omit=dev" in served
    assert "--omit=dev" not in tested
    checkout.run("scripts/run", SUXIN_FONT=font)
    assert not [call for call in checkout.all_calls() if call.startswith("npm ci ")]


def test_without_the_cameras_decoder_the_service_still_starts(checkout, font):
    checkout.program("npm", "exit 1")
    done = checkout.run("scripts/run", SUXIN_FONT=font)
    assert checkout.calls()[-1] == "suxin serve"
    assert "read by the service instead" in done.stderr
    (checkout.bin / "npm").unlink()
    checkout.run("scripts/run", SUXIN_FONT=font)
    assert checkout.calls() == ["suxin init", "suxin serve"]


@pytest.mark.parametrize(
    "changed", ["requirements.lock", "requirements-setup.lock", "pyproject.toml"]
)
def test_a_changed_lock_is_installed(checkout, font, changed):
    checkout.run("scripts/run", SUXIN_FONT=font)
    with (checkout.folder / changed).open("a") as file:
        file.write("# newer\n")
    checkout.run("scripts/run", SUXIN_FONT=font)
    assert len(checkout.calls()) == 5


def test_a_moved_checkout_is_set_up_anew(checkout, font, tmp_path):
    # Programs in a virtual environment name their interpreter by its full path.
    checkout.run("scripts/run", SUXIN_FONT=font)
    checkout.folder = checkout.folder.rename(tmp_path / "moved")
    checkout.run("scripts/run", SUXIN_FONT=font)
    assert len(checkout.calls()) == 5


def test_a_failed_set_up_is_not_taken_for_done(checkout, font):
    checkout.has_python(broken_venv=True)
    assert checkout.run("scripts/run", SUXIN_FONT=font).returncode != 0
    assert "suxin serve" not in checkout.calls()
    checkout.has_python()
    checkout.run("scripts/run", SUXIN_FONT=font)
    assert len(checkout.calls()) == 5


def test_an_index_that_pip_is_set_to_is_uvs_too(checkout, font):
    checkout.run("scripts/run", SUXIN_FONT=font)
    checkout.installed("python", f'echo "$2 asks $UV_DEFAULT_INDEX" >>{checkout.log}')
    (checkout.folder / ".venv/suxin-requirements.lock").unlink()
    checkout.run("scripts/run", SUXIN_FONT=font, PIP_INDEX_URL="http://mirror.test/simple")
    assert checkout.calls().count("uv asks http://mirror.test/simple") == 2


def test_uv_trusts_and_asks_what_the_whole_systems_pip_does(checkout, font):
    checkout.run("scripts/run", SUXIN_FONT=font)
    told = "echo \"global.cert='/etc/ca.pem'\"; echo \"global.index-url='http://mirror.test/s'\""
    checkout.installed(
        "python",
        f'case "$*" in *"config list"*) {told};; '
        f'*) echo "$2 trusts $SSL_CERT_FILE asks $UV_DEFAULT_INDEX" >>{checkout.log};; esac',
    )
    (checkout.folder / ".venv/suxin-requirements.lock").unlink()
    checkout.run("scripts/run", SUXIN_FONT=font)
    expected = "uv trusts /etc/ca.pem asks http://mirror.test/s"
    assert checkout.calls().count(expected) == 2


def test_an_old_python_is_refused_with_the_way_out(checkout):
    checkout.has_python(version=(3, 9))
    done = checkout.run("scripts/run")
    assert done.returncode == 1
    assert "needs Python 3.11 or later" in done.stderr
    assert "apt-get install python3" in done.stderr


def test_a_newer_python_of_another_name_is_found(checkout, font):
    checkout.has_python(version=(3, 9))
    checkout.has_python("python3.13", version=(3, 13))
    assert checkout.run("scripts/run", SUXIN_FONT=font).returncode == 0
    assert any(call.startswith("suxin serve") for call in checkout.calls())


def test_root_gets_what_is_missing_from_debian(checkout):
    (checkout.bin / "chromium").unlink()
    checkout.run("scripts/test")
    assert any(re.search(r"apt-get .*install .*chromium$", call) for call in checkout.calls())


def test_root_gets_the_browser_that_draws_no_windows_where_debian_has_it(checkout):
    (checkout.bin / "chromium-headless-shell").unlink()
    checkout.program("apt-cache")
    done = checkout.run("scripts/test")
    assert "is missing" not in done.stderr
    assert any(
        call.endswith(" chromium-headless-shell") and "apt-get" in call for call in checkout.calls()
    )


def test_without_the_browser_that_draws_no_windows_the_tests_go_on(checkout):
    (checkout.bin / "chromium-headless-shell").unlink()
    checkout.program("apt-cache", "exit 100")  # Debian has none
    done = checkout.run("scripts/test")
    assert done.returncode == 0
    assert "chromium-headless-shell is missing" in done.stderr
    assert any("pytest" in call for call in checkout.calls())
    assert not any("apt-get" in call and "headless" in call for call in checkout.calls())


def test_an_old_package_list_is_renewed_once(checkout):
    (checkout.bin / "chromium").unlink()
    checkout.program("apt-get", f'case "$*" in *update) touch {checkout.folder}/new;; '
                     f"*) test -e {checkout.folder}/new;; esac")  # fmt: skip
    assert checkout.run("scripts/test").returncode == 0
    apt = [call for call in checkout.calls() if "apt-get" in call and "chromium" in call]
    assert len(apt) == 2


def test_without_root_the_tests_stop_and_say_how(checkout):
    (checkout.bin / "chromium").unlink()
    checkout.program("id", "echo 1000")
    done = checkout.run("scripts/test")
    assert done.returncode == 1
    assert "sudo apt-get install chromium" in done.stderr
    assert not any("pytest" in call or "apt-get" in call for call in checkout.calls())


def without_the_system_font(checkout: Checkout) -> None:
    setup = checkout.folder / "scripts/setup"
    text = setup.read_text()
    assert "/usr/share/fonts/truetype/wqy/" in text
    setup.write_text(text.replace("/usr/share/fonts/truetype/wqy/", "/nowhere/"))


def test_root_gets_the_font_from_debian(checkout):
    without_the_system_font(checkout)
    checkout.run("scripts/run")
    assert any("fonts-wqy-microhei" in call for call in checkout.calls())


def test_the_service_runs_without_a_font_and_says_so(checkout):
    without_the_system_font(checkout)
    checkout.program("id", "echo 1000")
    done = checkout.run("scripts/run")
    assert done.returncode == 0
    assert "label sheets answer that they cannot be made" in done.stderr
    assert checkout.calls()[-1] == "suxin serve"


def test_a_font_by_npm_is_kept_only_if_it_is_the_known_one(checkout):
    without_the_system_font(checkout)
    checkout.program("id", "echo 1000")
    font = "package/400Regular/NotoSansSC_400Regular.ttf"
    checkout.program(
        "npm",
        f"mkdir -p {Path(font).parent}; echo another >{font}; tar -czf font.tgz {font}; "
        f"rm -r package; echo font.tgz",
    )
    assert checkout.run("scripts/run").returncode == 0
    assert any("npm pack" in call for call in checkout.calls())
    assert not list((checkout.folder / ".cache/fonts").glob("*.ttf"))


def test_every_check_is_shown_and_one_failure_is_enough(checkout):
    checkout.run("scripts/check")
    names = [call.split()[0] for call in checkout.calls()][3:]
    assert names == ["ruff", "ruff", "mypy", "lint-imports"]
    checkout.installed("ruff", "exit 1")
    done = checkout.run("scripts/check")
    assert done.returncode == 1
    assert [call.split()[0] for call in checkout.calls()] == names


@pytest.mark.parametrize(("failing", "code"), [("mypy", 1), ("python", 5)])
def test_ci_fails_with_the_first_that_fails(checkout, font, failing, code):
    checkout.run("scripts/check")
    checkout.installed(failing, f"exit {code}")
    done = checkout.run(".ci/run", SUXIN_FONT=font, CI="true")
    assert done.returncode == code
    tested = [call for call in checkout.calls() if call.startswith("python -m pytest")]
    once = "python -m pytest --database sqlite -n 2 --randomly-seed 0"
    assert tested == [once] * (failing == "python")


def test_pytest_has_the_last_word_in_ci(checkout, font):
    checkout.run("scripts/check")
    checkout.installed("python", "echo 3 passed in 0.10s")
    assert checkout.run(".ci/run", SUXIN_FONT=font).stdout.splitlines()[-1] == "3 passed in 0.10s"
    tested = [call for call in checkout.calls() if call.startswith("python -m pytest")]
    assert tested == [
        f"python -m pytest --database {kind} -n 2 --randomly-seed 0"
        for kind in ("sqlite", "postgresql")
    ]


def test_ci_draws_the_order_of_the_tests_from_the_commit(checkout, font):
    checkout.run("scripts/check")
    checkout.program("git", "echo 00000ff123456789")
    assert checkout.run(".ci/run", SUXIN_FONT=font).returncode == 0
    tested = [call for call in checkout.calls() if call.startswith("python -m pytest")]
    assert {call.rpartition(" ")[2] for call in tested} == {"255"}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_is_short_executable_and_posix(name):
    path = ROOT / "scripts" / name
    assert os.access(path, os.X_OK)
    assert path.read_text().startswith("#!/bin/sh\n")
    assert len(path.read_text().splitlines()) <= 20
    subprocess.run(["dash" if shutil.which("dash") else "sh", "-n", path], check=True)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_by_hash_and_names_no_registry(name):
    text = (ROOT / name).read_text()
    assert "://" not in text
    assert "--index" not in text
    pinned = re.findall(r"^[a-z][\w.-]*==\S+.*?(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    assert len(pinned) == len(re.findall(r"^[a-z]", text, re.MULTILINE))
    assert all("--hash=sha256:" in requirement for requirement in pinned)


def test_the_locks_hold_what_pyproject_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    runtime, dev = (locked(ROOT / name) for name in LOCKS[1:3])
    assert names(project["project"]["dependencies"]) <= runtime.keys()
    assert names(project["dependency-groups"]["dev"]) <= dev.keys()
    # Tests run on what is served: the one lock holds the other.
    assert runtime.items() <= dev.items()


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w.-]", line)[0].lower().replace("_", "-") for line in requirements}


def locked(path: Path) -> dict[str, str]:
    return dict(re.findall(r"^([a-z][\w.-]*)==([^\s;]+)", path.read_text(), re.MULTILINE))
