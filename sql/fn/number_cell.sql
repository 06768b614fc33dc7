-- fn.number_cell: a number of a row, as ops.revisions compares it with that of the next version.
-- grain: one value
-- sources: none
-- lookback: none
-- null: number where `value` is; text
create or replace macro fn.number_cell(column_name, value) as
    {'column_name': column_name, 'number': value::double, 'text': null::varchar}
