-- fn.difference_beyond_rounding: `value` less `mean`, 0 where the two differ only by the rounding of the mean.
-- grain: one value
-- sources: none
-- lookback: none
-- null: where either is
-- formula: value - mean; a relative difference up to 1e-12 is rounding, so that a flat window is neither above nor below its mean
create or replace macro fn.difference_beyond_rounding(value, mean) as
    case when abs(value - mean) <= 1e-12 * abs(mean) then 0.0::double else value - mean end
