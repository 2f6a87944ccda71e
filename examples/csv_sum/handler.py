"""Sums one column of a CSV: given in a direct call, or in a `file.created` event.

A direct call: {"csv": "a,b\\n1,2\\n", "column": "b"}. An event carries the same fields in its data;
`content` is another name for `csv`, and `column` is "amount" unless told otherwise.
"""

import csv
from decimal import Decimal, InvalidOperation
from io import StringIO


def handler(event, context):
    asked = event.get("data") if "specversion" in event else event
    text = asked.get("csv", asked.get("content"))
    column = asked.get("column", "amount")
    if not isinstance(text, str):
        raise ValueError('there is no CSV: give it as "csv", or as "content" in the data of an event')

    rows = csv.DictReader(StringIO(text, newline=""))
    if column not in (rows.fieldnames or ()):
        raise ValueError("there is no column %r, only %r" % (column, rows.fieldnames))
    total, count, skipped = Decimal(0), 0, 0
    for row in rows:
        try:
            value = Decimal(row[column])
            if not value.is_finite():
                raise InvalidOperation
        except (InvalidOperation, TypeError):  # empty, not a number, or a short row
            print("line %d has no number in %r" % (rows.line_num, column))
            skipped += 1
            continue
        total += value
        count += 1
    # As text: a sum of money does not survive binary fractions.
    return {"column": column, "sum": format(total, "f"), "rows": count, "skipped": skipped}
