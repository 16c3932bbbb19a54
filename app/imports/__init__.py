"""Spreadsheets come in here: files read into rows, rows checked, and applied as jobs that survive a stop.

Three steps, each usable alone. Reading (`reading`, `sheet`): bytes to a table of texts, pure. Planning
(`plans`): what each row would do, with every fault of it, nothing written. Applying (`jobs`): the good
rows by the services of the trace room, so that a spreadsheet can do nothing that a call could not.
"""
