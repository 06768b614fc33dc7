-- fn.z_score: by how many standard deviations `value` is above `mean`.
-- grain: one value
-- sources: none
-- lookback: none
-- null: where the window is flat: a standard deviation up to 1e-12 of the mean is rounding
-- formula: (value - mean) / sd
create or replace macro fn.z_score(value, mean, sd) as
    case when sd > 1e-12 * abs(mean) then (value - mean) / sd end
