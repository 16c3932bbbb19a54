"""Load for single events: wrk where there is one, else a client of ours that is the limit itself.

Both send one `sale` after the other over keep-alive connections, each for the next of the codes in a
file, for whole seconds, and say how many were answered and how long each took.
"""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from app.bench.figures import percentile
from app.bench.processes import BenchFailed, Listening

CLIENTS = 32
PATH = "/api/v1/events"
_LONGEST_REQUEST_S = 10

_SCRIPT = r"""
local codes, calls, dry = {}, 0, 0
local token, body, first, again

function setup(thread) thread_of_all = thread end

function init(args)
  token, body, first, again = args[2], args[3], tonumber(args[4]), args[5] == "again"
  for line in io.lines(args[1]) do codes[#codes + 1] = line end
  wrk.headers["Authorization"] = "Bearer " .. token
  wrk.headers["Content-Type"] = "application/json"
  sent = 0
end

function request()
  calls = calls + 1
  -- The very first is wrk's own trial and is never sent.
  local at = first + math.max(calls - 1, 1)
  if again then at = (at - 1) % #codes + 1 end
  local code = codes[at]
  if code == nil then
    dry = dry + 1
    return ""
  end
  sent = calls - 1
  return wrk.format("POST", nil, nil, (body:gsub("CODE", code)))
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format(
    '\n{"answered":%d,"seconds":%f,"refused":%d,"lost":%d,"sent":%d,"p50_ms":%f,"p99_ms":%f}\n',
    summary.requests, summary.duration / 1e6, e.status,
    e.connect + e.read + e.write + e.timeout, thread_of_all:get("sent"),
    latency:percentile(50) / 1000, latency:percentile(99) / 1000))
end
"""


@dataclass(frozen=True, slots=True)
class Sending:
    """What is sent: `body` holds CODE where the next line of `codes` goes."""

    codes: Path
    token: str
    body: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """What came of a load. sent: so many codes are used up. cpu_s: what sending took."""

    per_s: float
    p50_ms: float
    p99_ms: float
    sent: int
    cpu_s: float


class Generator:
    """Sends load. `limits` says whether it is a client that saturates before the server does."""

    def __init__(self, folder: Path) -> None:
        self._wrk = shutil.which("wrk")
        self._script = folder / "sale.lua"
        if self._wrk is not None:
            self._script.write_text(_SCRIPT, "utf-8")
        self.limits = self._wrk is None
        self.name = "a Python client" if self.limits else "wrk"

    def send(
        self, to: Listening, sending: Sending, *, seconds: int, first: int = 0, again: bool = False
    ) -> Loaded:
        """Returns what came of `seconds` of load from `CLIENTS` clients.

        first: how many codes are used up already. again: begin anew where the codes end. Raises
        BenchFailed where an answer was no 201, where one was lost, or where codes ran out.
        """
        if self._wrk is None:
            return asyncio.run(_send(to, sending, seconds=seconds, first=first, again=again))
        began_s = _children_s()
        done = subprocess.run(  # noqa: S603 - no shell, our own arguments
            [
                self._wrk, "-t1", f"-c{CLIENTS}", f"-d{seconds}s", f"--timeout={_LONGEST_REQUEST_S}s",
                "-s", str(self._script), to.url + PATH, "--",
                str(sending.codes), sending.token, sending.body, str(first),
                "again" if again else "once",
            ],
            capture_output=True, text=True, timeout=seconds + 60, check=False,
        )  # fmt: skip
        if done.returncode:
            raise BenchFailed(f"wrk: {done.stderr.strip() or done.stdout.strip()}")
        told = json.loads(done.stdout.splitlines()[-1])
        told["cpu_s"] = _children_s() - began_s
        return _judge(told, first, sending, again=again)


def _judge(told: dict[str, float], first: int, sending: Sending, *, again: bool) -> Loaded:
    if told["refused"] or told["lost"]:
        raise BenchFailed(
            f"{told['refused']:.0f} refused, {told['lost']:.0f} lost of {told['sent']}"
        )
    if not again and first + told["sent"] >= sending.codes.read_bytes().count(b"\n"):
        raise BenchFailed("not enough codes for this machine: ask for a larger --scale")
    return Loaded(
        told["answered"] / told["seconds"],
        told["p50_ms"],
        told["p99_ms"],
        int(told["sent"]),
        told["cpu_s"],
    )


def _children_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


async def _send(
    to: Listening, sending: Sending, *, seconds: int, first: int, again: bool
) -> Loaded:
    codes = sending.codes.read_text("ascii").split()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {sending.token}\r\n"
        "Content-Type: application/json\r\nContent-Length: "
    )
    taken_ms: list[float] = []
    told = {"refused": 0.0, "lost": 0.0, "sent": 0.0}
    end, began_s = time.perf_counter() + seconds, time.process_time()

    async def one_client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", to.port)
        while time.perf_counter() < end:
            at = first + int(told["sent"])
            if at >= len(codes) and not again:
                break
            told["sent"] += 1
            body = sending.body.replace("CODE", codes[at % len(codes)]).encode()
            began = time.perf_counter()
            writer.write(f"{head}{len(body)}\r\n\r\n".encode() + body)
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), _LONGEST_REQUEST_S)
            told["refused"] += not answer.startswith(b"HTTP/1.1 201")
            length = answer.lower().split(b"content-length:")[1].split(b"\r\n")[0]
            await reader.readexactly(int(length))
            taken_ms.append((time.perf_counter() - began) * 1000)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one_client() for _ in range(CLIENTS)))
    told |= {
        "answered": len(taken_ms),
        "seconds": time.perf_counter() - began,
        "p50_ms": percentile(taken_ms, 0.5),
        "p99_ms": percentile(taken_ms, 0.99),
        "cpu_s": time.process_time() - began_s,
    }
    return _judge(told, first, sending, again=again)
