-- fn.value_differs: whether a vendor's number `new_value` differs from the known number `known_value`.
-- grain: one value
-- sources: none
-- lookback: none
-- null: a value against no value differs; no value against no value does not
-- formula: relative difference above 1e-6, since vendors answer in single precision and the last digits vary between answers
create or replace macro fn.value_differs(new_value, known_value) as
    new_value is distinct from known_value and coalesce(abs(new_value - known_value) > 1e-6 * abs(known_value), true)
