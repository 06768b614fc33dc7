-- fn.text_cell: a text of a row, as ops.revisions compares it with that of the next version.
-- grain: one value
-- sources: none
-- lookback: none
-- null: text where `value` is; number
create or replace macro fn.text_cell(column_name, value) as
    {'column_name': column_name, 'number': null::double, 'text': value::varchar}
