"""What happens to goods: products, lots and units, their codes, events, life and story.

This room knows GS1 identifiers, the life table and the detectors of broken chains. It hands claims
to the ledger, which knows none of that, and asks the parties' room who may send what. It does not
judge: points and ranks are the credit room's.
"""
