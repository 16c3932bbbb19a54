"""Addresses among the pages' own that show no page: they lead on to one, or answer a file.

Every other one is looked at in a browser (tests/browser/test_looks.py).
"""

from __future__ import annotations

from collections.abc import Mapping

NO_PAGES: Mapping[str, tuple[str, str]] = {
    "/01/{gtin}/21/{serial}/{form}": ("nobody", "/{s.bought}/review"),
    "/badge/{party}.json": ("nobody", "/badge/{shop}.json?domain=shop.example"),
    "/badge/{party}.svg": ("nobody", "/badge/{shop}.svg?domain=shop.example"),
    "/desk/audits/{job_id}/report.{form}": ("regulator", "/desk/audits/{s.audit_id}/report.json"),
    "/desk/batches/{batch_id}/codes.csv": ("owner", "/desk/batches/{s.batch}/codes.csv"),
    "/desk/batches/{batch_id}/label.png": ("owner", "/desk/batches/{s.batch}/label.png"),
    "/desk/documents/{digest}": ("owner", "/desk/documents/{s.document}"),
    "/desk/imports/{job_id}/errors.csv": ("owner", "{s.job}/errors.csv"),
    "/desk/looks.csv": ("regulator", "/desk/looks.csv"),
    "/login": ("nobody", "/login"),
    "/policy/recompute_score.py": ("nobody", "/policy/recompute_score.py"),
    "/problems/{slug}": ("nobody", "/problems/not-found"),
    "/reports": ("nobody", "/reports"),
    "/sign-out": ("owner", "/sign-out"),
    "/verify/verify_bundle.py": ("nobody", "/verify/verify_bundle.py"),
    "/verify/verify_proof.py": ("nobody", "/verify/verify_proof.py"),
    "/verify/words.json": ("nobody", "/verify/words.json"),
}
"""Route -> who opens it and where, in a stage (tests/web/form_stage.py)."""
