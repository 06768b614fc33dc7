-- fn.satisfies: whether `value` compares to `level` by `comparison`: >, >=, < or <=.
-- grain: one value
-- sources: none
-- lookback: none
-- null: where value is
create or replace macro fn.satisfies(value, comparison, level) as
    case comparison when '>' then value > level when '>=' then value >= level when '<' then value < level when '<=' then value <= level end
