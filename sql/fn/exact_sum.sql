-- fn.exact_sum: the sum of amounts in USD, the same in any order of the rows; a sum of doubles differs in its last digits with the order.
-- grain: one group
-- sources: none
-- lookback: none
-- null: where no value is known
-- formula: sum of the values, each rounded to 1e-9; of doubles where one of them is 1e20 or more, which no flow or fund is
create or replace macro fn.exact_sum(amount) as
    case when max(abs(amount)) < 1e20 then sum(try_cast(amount as decimal(38, 9)))::double else sum(amount) end
