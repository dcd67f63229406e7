-- migrate:up

-- Housekeeping calls these two, because only the owner of a table may add or drop its partitions. Each call does one at most, for which it locks
-- out all reads and writes of the table for some milliseconds. It gives up where a statement holds the table for longer than 50 ms.

-- Add the first missing one of the partitions of this and the next three months, or years for closes; returns its name, null if none is missing.
create function add_partition() returns text language plpgsql security definer
set search_path = pg_catalog, public, pg_temp set lock_timeout = '50ms' as $$
declare
    wanted record;
begin
    if not pg_try_advisory_xact_lock(hashtext('partitions')) then
        return null;
    end if;
    select parent, parent || to_char(first, form) as name, first, first + step as last into wanted
    from (values ('snapshots', 'month', '_YYYY_MM'), ('price_points', 'month', '_YYYY_MM'), ('closes', 'year', '_YYYY')) as each (parent, unit, form)
    cross join lateral (select ('1 ' || unit)::interval) as steps (step)
    cross join lateral (select date_trunc(unit, now() at time zone 'UTC') + number * step from generate_series(0, 3) number) as begin (first)
    where first >= '2027-01-01' and to_regclass('public.' || parent || to_char(first, form)) is null
    order by first limit 1;
    if not found then
        return null;
    end if;
    execute format('create table public.%I partition of public.%I for values from (%L) to (%L)',
        wanted.name, wanted.parent, wanted.first || 'Z', wanted.last || 'Z');
    return wanted.name;
end
$$;

-- Drop the oldest partition of `snapshots` or `price_points` whose month ended 120 days ago; returns its name, null if there is none.
-- A snapshot lasts for its month at most, so nothing of the last 90 days is in it.
create function drop_partition() returns text language plpgsql security definer
set search_path = pg_catalog, public, pg_temp set lock_timeout = '50ms' as $$
declare
    oldest text;
begin
    if not pg_try_advisory_xact_lock(hashtext('partitions')) then
        return null;
    end if;
    select min(child.relname) into oldest
    from pg_inherits join pg_class child on child.oid = inhrelid
    where inhparent in ('public.snapshots'::regclass, 'public.price_points'::regclass) and child.relname ~ '_\d{4}_\d{2}$'
        and to_date(right(child.relname, 7), 'YYYY_MM') + interval '1 month' < now() at time zone 'UTC' - interval '120 days';
    if oldest is not null then
        execute format('drop table public.%I', oldest);
    end if;
    return oldest;
end
$$;
revoke all on function add_partition, drop_partition from public;
grant execute on function add_partition, drop_partition to butler_gateway;

-- migrate:down

drop function drop_partition, add_partition;
