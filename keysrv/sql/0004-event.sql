-- SPDX-License-Identifier: Apache-2.0
-- Events: the receipts.  Each row keeps its record word for word, so that a
-- public log can be laid over exactly these bytes later.
CREATE TABLE counterfoil.event (
	event_id bytea NOT NULL CHECK (octet_length(event_id) = 16),
	at timestamptz NOT NULL DEFAULT clock_timestamp(),
	type text NOT NULL CHECK (type IN ('issued', 'released', 'opened',
	    'refused', 'mismatch', 'revoked')),
	key_id bytea NOT NULL CHECK (octet_length(key_id) = 16),
	release_id bytea CHECK (octet_length(release_id) = 16),
	record text NOT NULL
) PARTITION BY RANGE (at);
COMMENT ON TABLE counterfoil.event IS
    'Everything that happened to a key; rows are only ever added.';
-- No index: nothing looks for an event by its name, and random names would
-- make a page of an index new for each row.
COMMENT ON COLUMN counterfoil.event.event_id IS
    'Random name of the event.';
COMMENT ON COLUMN counterfoil.event.at IS
    'When the row was written, by the database''s clock; the key server may '
    'not choose it.  The record''s time is a moment before.';
COMMENT ON COLUMN counterfoil.event.type IS 'What happened.';
COMMENT ON COLUMN counterfoil.event.key_id IS 'To which key.';
COMMENT ON COLUMN counterfoil.event.release_id IS
    'Of which release; null where there was none.';
COMMENT ON COLUMN counterfoil.event.record IS
    'The record: lines of text, see counterfoil-format(7).';
-- For everything about one key.
CREATE INDEX event_key ON counterfoil.event (key_id, at);
-- For the views, which read from the newest event back.
CREATE INDEX event_at ON counterfoil.event (at, type);

CREATE TABLE counterfoil.event_default PARTITION OF counterfoil.event DEFAULT;
COMMENT ON TABLE counterfoil.event_default IS
    'Events of a month whose partition was not made in time.';

-- Not "at": whoever writes events does not choose their time.
GRANT INSERT (event_id, type, key_id, release_id, record)
    ON counterfoil.event TO counterfoil_keysrv;

-- Events that went into the default partition would keep their month from
-- ever getting one of its own, so they are moved first.  Nobody adds to the
-- default partition meanwhile.  A table that is attached later takes a weaker
-- lock on the others than one that is born attached.
CREATE FUNCTION counterfoil.attach_event_month(month timestamptz)
    RETURNS boolean
    LANGUAGE plpgsql
    SET search_path = pg_catalog, counterfoil, pg_temp
    SET timezone = 'UTC'
AS $$
DECLARE
	first timestamptz := date_trunc('month', month);
	next timestamptz := first + interval '1 month';
	name text := 'event_' || to_char(first, 'YYYY_MM');
	found oid := to_regclass('counterfoil.' || name);
BEGIN
	IF EXISTS (SELECT FROM pg_inherits h WHERE h.inhrelid = found
	    AND h.inhparent = 'counterfoil.event'::regclass) THEN
		RETURN false;
	END IF;
	LOCK TABLE counterfoil.event_default IN ACCESS EXCLUSIVE MODE;
	IF found IS NULL THEN
		EXECUTE format('CREATE TABLE counterfoil.%I (LIKE '
		    'counterfoil.event INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
		    name);
	END IF;
	EXECUTE format('WITH late AS (DELETE FROM counterfoil.event_default '
	    'WHERE at >= %L AND at < %L RETURNING *) '
	    'INSERT INTO counterfoil.%I SELECT * FROM late', first, next, name);
	EXECUTE format('ALTER TABLE counterfoil.event ATTACH PARTITION '
	    'counterfoil.%I FOR VALUES FROM (%L) TO (%L)', name, first, next);
	RETURN true;
END
$$;
COMMENT ON FUNCTION counterfoil.attach_event_month(timestamptz) IS
    'Attaches the partition of that month, made or detached before, with what '
    'is in the default partition of it; false if it is attached.';
REVOKE ALL ON FUNCTION counterfoil.attach_event_month(timestamptz)
    FROM PUBLIC;

-- This month, the next ones, and each that has events in the default
-- partition.  One that fails does not keep the others from being made.
CREATE FUNCTION counterfoil.make_event_partitions(ahead integer)
    RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, counterfoil, pg_temp
    SET timezone = 'UTC'
AS $$
DECLARE
	first timestamptz;
	made integer := 0;
BEGIN
	IF ahead < 0 OR ahead > 60 THEN
		RAISE EXCEPTION 'ahead must be from 0 to 60';
	END IF;
	-- Several servers start at once: one of them does it.
	IF NOT pg_try_advisory_xact_lock(hashtext('counterfoil.event')) THEN
		RETURN 0;
	END IF;
	FOR first IN SELECT date_trunc('month', now())
	    + make_interval(months => n) FROM generate_series(0, ahead) n
	    UNION SELECT date_trunc('month', d.at)
	    FROM counterfoil.event_default d WHERE isfinite(d.at) LOOP
		BEGIN
			IF counterfoil.attach_event_month(first) THEN
				made := made + 1;
			END IF;
		EXCEPTION WHEN OTHERS THEN
			RAISE WARNING 'no event partition for %: %',
			    to_char(first, 'YYYY-MM'), SQLERRM;
		END;
	END LOOP;
	RETURN made;
END
$$;
COMMENT ON FUNCTION counterfoil.make_event_partitions(integer) IS
    'Makes the event partitions of this month and the next ones.';
REVOKE ALL ON FUNCTION counterfoil.make_event_partitions(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION counterfoil.make_event_partitions(integer)
    TO counterfoil_keysrv;
SELECT counterfoil.make_event_partitions(3);
