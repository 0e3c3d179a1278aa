-- $1: plan_cache_mode. For the whole session of a member's connection. What it reads stands in an index in the right order; whatever the
-- statistics say, nothing is to be read in another way. now() is read once per statement, there being no transaction blocks.
SELECT set_config('enable_seqscan', 'off', false),
       set_config('enable_bitmapscan', 'off', false),
       set_config('enable_mergejoin', 'off', false),
       set_config('enable_hashjoin', 'off', false),
       set_config('plan_cache_mode', $1, false)
