-- SPDX-License-Identifier: Apache-2.0
-- Roles, schema and the list of migrations.
--
-- The four roles cannot log in; the administrator's login roles are members
-- of them.  Roles belong to the whole cluster, so another database may have
-- made them already.
DO $$
DECLARE
	r text;
BEGIN
	FOREACH r IN ARRAY ARRAY['counterfoil_owner', 'counterfoil_keysrv',
	    'counterfoil_rotate', 'counterfoil_auditor'] LOOP
		BEGIN
			EXECUTE format('CREATE ROLE %I NOLOGIN', r);
		EXCEPTION WHEN duplicate_object OR unique_violation THEN
			NULL;
		END;
	END LOOP;
	IF NOT pg_has_role(current_user, 'counterfoil_owner', 'MEMBER') THEN
		EXECUTE format('GRANT counterfoil_owner TO %I', current_user);
	END IF;
END
$$;
COMMENT ON ROLE counterfoil_owner IS
    'Owns the counterfoil schema; migrations and accounts.';
COMMENT ON ROLE counterfoil_keysrv IS
    'What counterfoil-keysrv may do; it takes this role on each connection.';
COMMENT ON ROLE counterfoil_rotate IS
    'Re-wraps the outer layer of stored keys; sees nothing else.';
COMMENT ON ROLE counterfoil_auditor IS
    'Reads the views for people, and nothing else.';

CREATE SCHEMA counterfoil AUTHORIZATION counterfoil_owner;
COMMENT ON SCHEMA counterfoil IS
    'Counterfoil key server: keys, receipts, accounts.';
GRANT USAGE ON SCHEMA counterfoil
    TO counterfoil_keysrv, counterfoil_rotate, counterfoil_auditor;

SET LOCAL ROLE counterfoil_owner;

CREATE TABLE counterfoil.schema_version (
	version integer PRIMARY KEY,
	name text NOT NULL,
	applied_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE counterfoil.schema_version IS
    'Migrations that have been applied.';
COMMENT ON COLUMN counterfoil.schema_version.version IS
    'The number at the front of the file name.';
COMMENT ON COLUMN counterfoil.schema_version.name IS 'The file name.';
COMMENT ON COLUMN counterfoil.schema_version.applied_at IS 'When.';
GRANT SELECT ON counterfoil.schema_version
    TO counterfoil_keysrv;

-- Bytes as people and links show them: base64url without padding.
CREATE FUNCTION counterfoil.b64url(bytes bytea) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    RETURN translate(encode(bytes, 'base64'), E'+/=\n', '-_');
COMMENT ON FUNCTION counterfoil.b64url(bytea) IS
    'base64url without padding; of a key id: the handle.';
