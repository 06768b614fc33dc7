-- fn.sources_disagree: whether the prices of two sources for one bar differ by more than their rounding.
-- grain: one value
-- sources: none
-- lookback: none
-- null: false where either value is
-- formula: close: more than 0.1 % of the other, and 0.011 USD, so that a cent of rounding is none; distributions: more than 1 % of the other, and
--   0.002 USD, since some sources state three decimals; split ratio: more than 0.1 %
create or replace macro fn.sources_disagree(column_name, value, other_value) as
    coalesce(
        abs(value - other_value) > greatest(
            case column_name when 'distribution' then 0.01 else 0.001 end * abs(other_value),
            case column_name when 'close' then 0.011 when 'distribution' then 0.002 else 0 end
        ),
        false
    )
