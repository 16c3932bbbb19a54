"""Text in, symbols out: QR, GS1 DataMatrix and EAN-13 as PNG, SVG and printable sheets.

Knows no product, lot or party, no language and no setting: what stands on a label, the words beside
it and the font file all come from the caller, who has checked identifiers before.
"""
