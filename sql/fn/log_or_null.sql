-- fn.log_or_null: the natural logarithm of a vendor's number.
-- grain: one value
-- sources: none
-- lookback: none
-- null: where `value` is missing, zero or negative: `ln` would end the run there
create or replace macro fn.log_or_null(value) as
    case when value > 0 then ln(value) end
