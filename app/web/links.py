"""Addresses of our own things, from their names."""

from __future__ import annotations


def code_path(stream: str) -> str:
    """Returns the API path of the product, lot, unit or party that a stream is about."""
    parts = stream.split("/")
    match parts:
        case ["party", party]:
            return f"/api/v1/parties/{party}"
        case ["01", gtin, "21", serial]:
            return f"/api/v1/codes/{gtin}/{serial}"
        case ["01", gtin, "10", lot]:
            return f"/api/v1/lots/{gtin}/{lot}"
        case _:
            return f"/api/v1/products/{parts[1]}"


def page_path(stream: str) -> str:
    """Returns the path of the page that a scan of this code opens."""
    return f"/{stream}"
