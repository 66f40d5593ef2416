-- SPDX-License-Identifier: Apache-2.0
-- What stands outside of the database and must fit it.  The master keys are
-- in a file of each server; here is how each server knows that its file is
-- the right one before it seals or opens anything with it.
CREATE TABLE counterfoil.master_key (
	master_id bytea PRIMARY KEY CHECK (octet_length(master_id) = 8),
	check_value bytea NOT NULL CHECK (octet_length(check_value) = 32),
	state text NOT NULL DEFAULT 'known'
	    CHECK (state IN ('known', 'active')),
	created_at timestamptz NOT NULL DEFAULT now(),
	activated_at timestamptz,
	CHECK (state = 'known' OR activated_at IS NOT NULL)
);
COMMENT ON TABLE counterfoil.master_key IS
    'The master keys by name; the keys themselves are in a file of each '
    'server and never here.';
COMMENT ON COLUMN counterfoil.master_key.master_id IS
    'Random name of the key; in the file and in commands as hex.';
COMMENT ON COLUMN counterfoil.master_key.check_value IS
    'Derived from key and name: only the right key has it.';
COMMENT ON COLUMN counterfoil.master_key.state IS
    'known: opens what was sealed with it; active: also seals, on every '
    'server.';
COMMENT ON COLUMN counterfoil.master_key.created_at IS
    'When it was made known.';
COMMENT ON COLUMN counterfoil.master_key.activated_at IS
    'When it became active last; null: never, nothing was sealed with it.';
CREATE UNIQUE INDEX master_key_active ON counterfoil.master_key (state)
    WHERE state = 'active';

-- No key may be sealed with a master key that nobody could name any more.
ALTER TABLE counterfoil.key_material
    ADD FOREIGN KEY (master_id) REFERENCES counterfoil.master_key;

-- A server whose database is new makes its file's key the first one.  It may
-- do so only as long as there is none at all: a second one is added by an
-- administrator.
CREATE FUNCTION counterfoil.first_master_key(id bytea, checks bytea)
    RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, counterfoil, pg_temp
AS $$
BEGIN
	LOCK TABLE counterfoil.master_key IN SHARE ROW EXCLUSIVE MODE;
	IF EXISTS (SELECT FROM counterfoil.master_key) THEN
		RETURN false;
	END IF;
	INSERT INTO counterfoil.master_key
	    (master_id, check_value, state, activated_at)
	    VALUES (id, checks, 'active', now());
	RETURN true;
END
$$;
COMMENT ON FUNCTION counterfoil.first_master_key(bytea, bytea) IS
    'Makes a master key the first and active one; false if there is one.';
REVOKE ALL ON FUNCTION counterfoil.first_master_key(bytea, bytea) FROM PUBLIC;

CREATE TABLE counterfoil.service_secret (
	name text PRIMARY KEY,
	master_id bytea NOT NULL REFERENCES counterfoil.master_key,
	salt bytea NOT NULL CHECK (octet_length(salt) = 16),
	wrapped bytea NOT NULL
);
COMMENT ON TABLE counterfoil.service_secret IS
    'Secrets that all servers share and that outlive a master key.';
COMMENT ON COLUMN counterfoil.service_secret.name IS 'What it is for.';
COMMENT ON COLUMN counterfoil.service_secret.master_id IS
    'The master key that it is wrapped under.';
COMMENT ON COLUMN counterfoil.service_secret.salt IS
    'Makes the wrapping key this row''s own.';
COMMENT ON COLUMN counterfoil.service_secret.wrapped IS
    'Nonce, ciphertext and tag.';

CREATE TABLE counterfoil.registered (
	what text PRIMARY KEY CHECK (what IN ('service_url', 'signer')),
	value text NOT NULL,
	at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE counterfoil.registered IS
    'What people have from us and count on: where links lead, who signs '
    'receipts.';
COMMENT ON COLUMN counterfoil.registered.what IS
    'service_url, or signer: of its public key.';
COMMENT ON COLUMN counterfoil.registered.value IS
    'The URL; the SHA-256 in base64url.';
COMMENT ON COLUMN counterfoil.registered.at IS
    'Since when, by the first start or by an administrator.';

GRANT SELECT, INSERT ON counterfoil.registered TO counterfoil_keysrv;
GRANT SELECT ON counterfoil.master_key
    TO counterfoil_keysrv, counterfoil_rotate;
GRANT EXECUTE ON FUNCTION counterfoil.first_master_key(bytea, bytea)
    TO counterfoil_keysrv;
GRANT SELECT, INSERT ON counterfoil.service_secret TO counterfoil_keysrv;
GRANT SELECT, UPDATE (master_id, salt, wrapped)
    ON counterfoil.service_secret TO counterfoil_rotate;
