"""Exchange with others: the credit ledger goes to another store, and this one is a store for others.

docs/credit-store.md has the formats and the adapter interface. Nothing here decides what credit is:
changes come from records of app.credit, and what is taken in becomes a record of our own.
"""
