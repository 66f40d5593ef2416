-- SPDX-License-Identifier: Apache-2.0
-- Events: the receipts.  Each row keeps its record word for word, so that a
-- public log can be laid over exactly these bytes later.
CREATE TABLE counterfoil.event (
	event_id bytea NOT NULL CHECK (octet_length(event_id) = 16),
	at timestamptz NOT NULL,
	type text NOT NULL CHECK (type IN ('issued', 'released', 'opened',
	    'refused', 'mismatch', 'revoked')),
	key_id bytea NOT NULL CHECK (octet_length(key_id) = 16),
	release_id bytea CHECK (octet_length(release_id) = 16),
	record text NOT NULL,
	PRIMARY KEY (event_id, at)
) PARTITION BY RANGE (at);
COMMENT ON TABLE counterfoil.event IS
    'Everything that happened to a key; rows are only ever added.';
COMMENT ON COLUMN counterfoil.event.event_id IS 'Random name of the event.';
COMMENT ON COLUMN counterfoil.event.at IS
    'When, by the key server''s clock; the same as in the record.';
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

GRANT INSERT ON counterfoil.event TO counterfoil_keysrv;

-- Partitions for this month and `ahead` more.  A table that is attached
-- later takes a weaker lock than one that is born attached.
CREATE FUNCTION counterfoil.make_event_partitions(ahead integer)
    RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, counterfoil, pg_temp
    SET timezone = 'UTC'
AS $$
DECLARE
	first timestamptz;
	name text;
	made integer := 0;
	n integer;
BEGIN
	IF ahead < 0 OR ahead > 60 THEN
		RAISE EXCEPTION 'ahead must be from 0 to 60';
	END IF;
	-- Several servers start at once: one of them does it.
	IF NOT pg_try_advisory_xact_lock(hashtext('counterfoil.event')) THEN
		RETURN 0;
	END IF;
	FOR n IN 0..ahead LOOP
		first := date_trunc('month', now()) + make_interval(months => n);
		name := 'event_' || to_char(first, 'YYYY_MM');
		CONTINUE WHEN to_regclass('counterfoil.' || name) IS NOT NULL;
		-- Rows already in the default partition stay there.
		CONTINUE WHEN EXISTS (SELECT FROM counterfoil.event_default d
		    WHERE d.at >= first AND d.at < first + interval '1 month');
		EXECUTE format('CREATE TABLE counterfoil.%I (LIKE '
		    'counterfoil.event INCLUDING DEFAULTS INCLUDING CONSTRAINTS)',
		    name);
		EXECUTE format('ALTER TABLE counterfoil.event ATTACH PARTITION '
		    'counterfoil.%I FOR VALUES FROM (%L) TO (%L)', name, first,
		    first + interval '1 month');
		made := made + 1;
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
