-- A message may die while it is enqueued again: the insertion waits for that, finds its place free,
-- and does not see what has died since it began. So the dead are looked at afterwards.
CREATE OR REPLACE FUNCTION {enqueue}(
    queues text[], ids text[], bodies bytea[], delays double precision[], tell boolean
) RETURNS void
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
SET plan_cache_mode = force_generic_plan SET jit = off
AS $body$
DECLARE
    moment timestamptz := clock_timestamp();
BEGIN
    INSERT INTO {table} AS stored (queue, id, visible_at, body)
    SELECT new.queue, new.id, moment + make_interval(secs => new.delay), new.body
    FROM unnest(queues, ids, bodies, delays) WITH ORDINALITY AS new (queue, id, body, delay, place)
    ORDER BY new.place
    ON CONFLICT DO NOTHING;
    DELETE FROM {table} AS stored
    USING unnest(queues, ids) AS new (queue, id)
    JOIN {dead} AS dead ON dead.queue = new.queue AND dead.id = new.id
    WHERE stored.queue = new.queue AND stored.id = new.id AND stored.token IS NULL;
    IF tell THEN
        PERFORM {tell}(queues, delays);
    END IF;
END
$body$;
