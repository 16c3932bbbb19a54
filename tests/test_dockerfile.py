"""The image, without an engine: its file is read, and its steps are followed in an empty folder.

Followed for real: every COPY (as .dockerignore lets it), every RUN of the stages that build, in a clean
environment, and the start of the command in what reached the last. Only read: what changes the
base's system (apt-get, useradd).
"""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TIMEOUT_S = 300
# How this machine reaches its package index is its own affair, and no part of the image.
PASSED_ON = re.compile(
    r"(PIP_.*|UV_.*|SSL_CERT_.*|REQUESTS_CA_BUNDLE|npm_config_.*|NPM_CONFIG_.*|.*_proxy|.*_PROXY)"
)


@dataclass
class Stage:
    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def all(self, instruction: str) -> list[str]:
        return [value for word, value in self.steps if word == instruction]

    def last(self, instruction: str) -> str:
        return self.all(instruction)[-1]


def read_stages() -> list[Stage]:
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.lstrip().startswith("#"))
    stages: list[Stage] = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        if not line.strip():
            continue
        word, value = line.strip().split(maxsplit=1)
        if word == "FROM":
            base, _, name = value.partition(" AS ")
            stages.append(Stage(base, name))
        else:
            stages[-1].steps.append((word, value))
    return stages


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    return read_stages()


def sent(path: str) -> bool:
    """Whether .dockerignore lets a path into the build; the last rule that matches decides."""
    kept = True
    for line in (ROOT / ".dockerignore").read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        rule, keeps = line.removeprefix("!"), line.startswith("!")
        parts = path.split("/")
        starts = ["/".join(parts[: n + 1]) for n in range(len(parts))]
        rule = rule.removeprefix("**/")
        candidates = starts + (parts if "**/" in line else [])
        if any(fnmatch.fnmatchcase(one, rule) for one in candidates):
            kept = keeps
    return kept


# ---------------------------------------------------------------- read


def test_what_builds_does_not_run(stages):
    build, browser, image = stages
    assert (build.name, browser.name, image.name) == ("build", "browser", "")
    assert build.base == image.base, "a virtual environment runs only on the Python that made it"
    assert not [one.base for one in stages if re.search(r":latest$|^[^:]*$", one.base)]


def test_the_image_runs_as_nobody_in_particular(stages):
    image = stages[-1]
    assert image.last("USER") not in ("root", "0")
    words = [word for word, _ in image.steps]
    assert not {"RUN", "COPY"} & set(words[words.index("USER") :]), "changed after root was left"
    assert re.search(rf"useradd --uid \d{{5,}} .*{image.last('USER')}", image.last("RUN"))


def test_the_image_knows_whether_it_is_well(stages):
    check = stages[-1].last("HEALTHCHECK")
    command = json.loads(check[check.index("[") :])
    assert "/healthz" in command[-1]
    assert f":{stages[-1].last('EXPOSE')}/" in command[-1]
    compile(command[-1], "HEALTHCHECK", "exec")


def test_data_and_keys_are_volumes_apart_that_the_service_may_write(stages):
    image = stages[-1]
    env = environment(image)
    volumes = [volume for value in image.all("VOLUME") for volume in json.loads(value)]
    data, keys = env["SUXIN_DATA_DIR"], env["SUXIN_KEYS_DIR"]
    assert sorted(volumes) == sorted([data, keys])
    assert not Path(keys).is_relative_to(data)
    assert not Path(data).is_relative_to(keys)
    made = next(run for run in image.all("RUN") if "install -d" in run)
    assert {data, keys} <= set(shlex.split(made))
    assert "-m 0700" in made


def test_the_image_has_a_font_for_label_sheets(stages):
    assert "fonts-wqy-microhei" in stages[-1].all("RUN")[0]


def test_everything_is_installed_by_hash(stages):
    installs = [run for run in stages[0].all("RUN") if " install " in run]
    assert len(installs) >= 2
    assert all("--require-hashes" in run or "--no-deps" in run for run in installs)
    assert [run.split()[:2] for run in stages[1].all("RUN")] == [["npm", "ci"]]


def environment(stage: Stage) -> dict[str, str]:
    return dict(part.split("=", 1) for value in stage.all("ENV") for part in shlex.split(value))


@pytest.mark.parametrize(
    "path",
    [
        ".env",
        ".git/config",
        ".venv/bin/python",
        "data/suxin.db",
        "data-keys/log.key",
        "tests/conftest.py",
        "app/kit/__pycache__/errors.cpython-311.pyc",
        "static/node_modules/left/pad.js",
        "requirements-dev.lock",
        "admin.json",
    ],
)
def test_what_never_reaches_the_builder(path):
    assert not sent(path)


@pytest.mark.parametrize("path", ["app/cli.py", "app/locales/zh/web.json", "static/suxin.css"])
def test_what_must_reach_the_builder(path):
    assert sent(path)


# ---------------------------------------------------------------- followed


class Builder:
    """Empty folders that stand for the file systems of the stages."""

    def __init__(self, folder: Path) -> None:
        self.roots = {name: folder / (name or "image") for name in ("build", "browser", "")}
        self.home = folder / "home"
        self.home.mkdir()
        self.bin = folder / "bin"
        self.bin.mkdir()
        # The base image's Python; `-I` would hide a package that leaks in from here.
        (self.bin / "python").symlink_to(Path(sys.base_prefix, "bin", f"python{py()}"))
        for name in ("node", "npm"):
            (self.bin / name).symlink_to(str(shutil.which(name)))

    def inside(self, stage: Stage, path: str, cwd: str) -> Path:
        return self.roots[stage.name] / os.path.normpath(Path(cwd, path)).lstrip("/")

    def translate(self, stage: Stage, text: str) -> str:
        return re.sub(r"(?<![\w.])/(opt|srv)/", rf"{self.roots[stage.name]}/\1/", text)

    def follow(self, stage: Stage) -> None:
        cwd = "/"
        for word, value in stage.steps:
            if word == "WORKDIR":
                cwd = value
                self.inside(stage, ".", cwd).mkdir(parents=True, exist_ok=True)
            elif word == "COPY" and value.startswith("--from="):
                self.copy_from_stage(stage, value, cwd)
            elif word == "COPY":
                *names, target = value.split()
                for name in names:
                    self.copy(name, self.inside(stage, target, cwd))
            elif word == "RUN" and stage.name:
                self.run(stage, value, cwd)

    def copy(self, name: str, target: Path) -> None:
        source = ROOT / name
        if source.is_dir():
            files = [f for f in source.rglob("*") if f.is_file()]
            wanted = [f for f in files if sent(f.relative_to(ROOT).as_posix())]
            assert wanted or name == "static", f"COPY {name} brings nothing"
            target.mkdir(parents=True, exist_ok=True)
            for file in wanted:
                into = target / file.relative_to(source)
                into.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file, into)
        else:
            if name == "README.md" and not source.exists():
                pytest.skip("README.md does not exist yet")
            assert sent(name), f".dockerignore keeps {name} out"
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / source.name)

    def copy_from_stage(self, stage: Stage, value: str, cwd: str) -> None:
        option, source, target = value.split()
        origin = Stage("", option.removeprefix("--from="))
        # Moved, not copied: the first stage is gone when the image runs, and its paths stay valid
        # because both stages have them; here a link keeps them so.
        moved = self.inside(origin, source, "/").rename(made(self.inside(stage, target, cwd)))
        self.inside(origin, source, "/").symlink_to(moved)

    def run(self, stage: Stage, command: str, cwd: str) -> None:
        self.execute(["sh", "-ec", self.translate(stage, command)], self.inside(stage, ".", cwd))

    def execute(self, command: list[str], cwd: Path, **env: str) -> str:
        kept = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
        kept.setdefault("UV_CACHE_DIR", str(Path.home() / ".cache/uv"))
        kept.setdefault("npm_config_userconfig", str(Path.home() / ".npmrc"))
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, check=False, timeout=TIMEOUT_S,
            env={**kept, "HOME": str(self.home), "PATH": f"{self.bin}:/usr/bin:/bin", **env},
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout


def py() -> str:
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.slow
def test_the_steps_lead_to_a_command_that_starts(stages, tmp_path):
    if shutil.which("npm") is None:
        pytest.skip("npm is missing: the stage of the browser's libraries cannot be followed")
    builder = Builder(tmp_path)
    for stage in stages:
        builder.follow(stage)
    image = stages[-1]
    env = environment(image)
    bin_folder = builder.translate(image, env["PATH"].split(":")[0])
    here = builder.inside(image, ".", image.last("WORKDIR"))

    found = builder.execute(
        [f"{bin_folder}/python", "-c", "import app; print(app.__file__)"], Path("/")
    )
    assert Path(found.strip()).resolve() == (here / "app/__init__.py").resolve()
    assert (here / "static").is_dir(), "pages look for static/ beside the package"
    asked = "from app.web.pages.camera import decoder_path; print(decoder_path())"
    told = builder.execute([f"{bin_folder}/python", "-c", asked], Path("/"))
    assert "/static/zxing-" in told, "phones read codes themselves"
    listed = builder.execute([f"{bin_folder}/python", "-m", "pip", "list"], Path("/"))
    assert not re.search(r"^(pytest|mypy|uv|setuptools) ", listed, re.MULTILINE)
    if not (ROOT / "app/cli.py").exists():
        pytest.skip("app/cli.py does not exist yet: nothing to start")
    command = json.loads(image.last("ENTRYPOINT"))
    program = shutil.which(command[0], path=bin_folder)
    assert program, f"{command[0]} is not in {bin_folder}"
    assert "serve" in builder.execute([program, "--help"], here)
    builder.execute([program, *json.loads(image.last("CMD"))[:1], "--help"], here)
