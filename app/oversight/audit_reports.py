"""Reports of audits: made once, signed, and never changed.

The JSON holds the content, the SHA-256 of both PDF files and a signed note over all three hashes, by the
key that signs receipts (`/log/receipt-key`): the log's own key signs checkpoints and nothing else. What
an audit met was kept when it ended, so a report made a month later tells of that day; and so do the
chains in it, which are told as they stood under the signed state of the log that the audit began with.

    suxin-audit-report/2
    <id of the audit>
    <when the report was made>
    report <SHA-256 of the canonical JSON of `report`>
    zh <SHA-256 of the PDF in Chinese>
    en <SHA-256 of the PDF in English>
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import orjson

from app.db.engine import Database
from app.i18n import LANGUAGES, Lang
from app.kit.clock import Clock, format_time, from_ms, to_ms
from app.kit.errors import Conflict, Fault, NotFound
from app.labels.document import write_paper
from app.labels.fonts import find_font
from app.ledger.note import NoteSigner, open_note, sign_note
from app.ledger.witnesses import Cosigning
from app.oversight import jobstore
from app.oversight.audits import MOST_MET, Audits
from app.oversight.report_chains import ReportedChains
from app.oversight.report_content import FORMAT, FORMATS, content_of
from app.oversight.report_paper import paper_of
from app.oversight.report_states import read_logs
from app.parties.principal import OutsideRegion, Principal
from app.parties.store import find_party

PATH: Final = "/audit-reports"


class AuditNotDone(Conflict):
    """There is no report of an audit before it is done."""

    slug = "audit-not-done"


class ReportUnknown(NotFound):
    """No report was made of this audit."""


@dataclass(frozen=True, slots=True)
class Report:
    """A report as it was made. signed: the JSON file's bytes; pdf: files by language."""

    id: str
    signed: bytes
    pdf: Mapping[Lang, bytes]

    @property
    def told(self) -> dict[str, Any]:
        """The JSON."""
        found: dict[str, Any] = orjson.loads(self.signed)
        return found

    def matches(self, raw: bytes) -> str:
        """Returns which of its files these bytes are: a language, `json`, or "" for none."""
        if raw == self.signed:
            return "json"
        return next((lang for lang, file in self.pdf.items() if file == raw), "")


class AuditReports:
    """Makes and keeps reports. Owns its transactions."""

    def __init__(
        self,
        database: Database,
        audits: Audits,
        chains: ReportedChains,
        cosigning: Cosigning,
        signer: NoteSigner,
        *,
        clock: Clock,
        base_url: str,
        font: Path | None,
    ) -> None:
        self._database = database
        self._audits = audits
        self._chains = chains
        self._cosigning = cosigning
        self._signer = signer
        self._clock = clock
        self._base_url = base_url
        self._font = font

    def make(self, principal: Principal, job_id: str) -> tuple[Report, bool]:
        """Returns the report of an audit, and whether it was made now. Writes `audit_report`.

        Raises AuditUnknown, Denied, OutsideRegion, AuditNotDone; Unavailable where there is no font to
        print with.
        """
        job = self._audits.own(principal, job_id)
        self._check_office(principal, job.id)
        if (known := self._find(job.id)) is not None:
            return known, False
        if job.status != "done":
            raise AuditNotDone("audit_not_done", id=job.id)
        now = self._clock.now()
        content = self._content(job, made_at=format_time(now), made_by=principal.party)
        digest = sha256(canonical(content)).hexdigest()
        address = f"{self._base_url}{PATH}/{job.id}"
        font = find_font(self._font)
        files: dict[Lang, bytes] = {}
        for lang in LANGUAGES:
            out = io.BytesIO()
            write_paper(
                paper_of(content, lang, digest=digest, address=address), out, font_path=font
            )
            files[lang] = out.getvalue()
        row = {
            "job": job.id,
            "made_at": to_ms(now),
            "made_by": principal.party or "operator",
            "signed": self._sign(content, digest, files),
            "pdf_zh": files["zh"],
            "pdf_en": files["en"],
        }
        with self._database.write() as connection:
            jobstore.insert_report(connection, row)
        # Another process may have been first: what it made is the report.
        return self.get(job.id), True

    def get(self, job_id: str) -> Report:
        """Returns a report. Raises ReportUnknown. Read-only."""
        found = self._find(job_id)
        if found is None:
            raise ReportUnknown("report_unknown", id=job_id[:80])
        return found

    def own(self, principal: Principal, job_id: str) -> Report:
        """Returns a report to whoever may see all of it.

        Raises AuditUnknown, Denied, OutsideRegion, ReportUnknown.
        """
        self._check_office(principal, job_id)
        return self.get(self._audits.own(principal, job_id).id)

    def _check_office(self, principal: Principal, job_id: str) -> None:
        """Raises OutsideRegion where the audit met what is not the caller's: a report is signed whole."""
        if self._audits.seen(principal, job_id, after=-1, limit=1).outside:
            raise OutsideRegion("outside_region", office=principal.region)

    def is_signed(self, report: Report) -> bool:
        """Whether the note verifies under this service's key and says what is stored: report and files.

        The database alone is not believed: a note of another report, or of another content, is none.
        """
        told = report.told
        try:
            text = open_note(told["note"], [self._signer.vkey]).text
            digest = sha256(canonical(told["report"])).hexdigest()
            return told["format"] in FORMATS and text == _text_of(
                told["format"], told["report"], digest, report.pdf
            )
        except (Fault, KeyError, TypeError):
            return False

    def has(self, job_id: str) -> bool:
        """Whether the audit's report was made. Read-only."""
        with self._database.read() as connection:
            return jobstore.has_report(connection, job_id)

    def _find(self, job_id: str) -> Report | None:
        with self._database.read() as connection:
            row = jobstore.find_report(connection, job_id)
        if row is None:
            return None
        files: dict[Lang, bytes] = {"zh": bytes(row.pdf_zh), "en": bytes(row.pdf_en)}
        return Report(row.job, row.signed.encode(), files)

    def _content(self, job: Any, *, made_at: str, made_by: str | None) -> dict[str, Any]:
        scope = json.loads(job.scope)
        name = ""
        if "party" in scope and scope != "all":
            with self._database.read() as connection:
                party = find_party(connection, scope["party"])
            name = "" if party is None else party.name
        met = [one for _, one in self._audits.met(job.id, after=-1, limit=MOST_MET)]
        logs = read_logs(job.checkpoints, self._cosigning)
        chains = self._chains.read(
            None if scope == "all" else self._audits.names(scope),
            met=met,
            logs=logs,
            at=from_ms(job.started_at or job.created_at),
        )
        return content_of(
            job,
            findings=met,
            logs=logs,
            chains=chains,
            name=name,
            service=self._base_url,
            made_at=made_at,
            made_by=made_by or "operator",
        )

    def _sign(self, content: Mapping[str, Any], digest: str, files: Mapping[Lang, bytes]) -> str:
        hashes = {lang: sha256(files[lang]).hexdigest() for lang in LANGUAGES}
        signed = {
            "format": FORMAT,
            "report": content,
            "report_sha256": digest,
            "pdf": {
                lang: {"sha256": hashes[lang], "bytes": len(files[lang])} for lang in LANGUAGES
            },
            "key": str(self._signer.vkey),
            "note": sign_note(_text_of(FORMAT, content, digest, files), self._signer),
        }
        return orjson.dumps(signed).decode()


def _text_of(
    signed_as: str, content: Mapping[str, Any], digest: str, files: Mapping[Lang, bytes]
) -> str:
    """Returns what is signed: which report, when, and the SHA-256 of its JSON and of each file."""
    lines = [signed_as, content["id"], content["made_at"], f"report {digest}"]
    lines += [f"{lang} {sha256(files[lang]).hexdigest()}" for lang in LANGUAGES]
    return "\n".join([*lines, ""])


def canonical(value: object) -> bytes:
    """Returns JSON with sorted keys and without spaces: what is hashed."""
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
