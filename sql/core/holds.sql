-- core.holds: whether `value` compares to `level` as `comparison` says: >, >=, < or <=.
-- null: where value is
create or replace macro core.holds(value, comparison, level) as
    case comparison when '>' then value > level when '>=' then value >= level when '<' then value < level when '<=' then value <= level end
