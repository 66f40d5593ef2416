-- SPDX-License-Identifier: Apache-2.0
-- Keys.  Every table here is found by key id.  They are plain tables: rows come
-- in batches, and a batch shares the work of one table and its indexes, where
-- each of several partitions would have its own.
--
-- There are no foreign keys between these tables: their rows are written
-- together by one transaction.  There are some to the account and the master
-- key, so that neither can go while evidence needs it; a check costs about 4
-- microseconds a row.
CREATE TABLE counterfoil.key_issue (
	key_id bytea NOT NULL CHECK (octet_length(key_id) = 16),
	token_sha256 bytea NOT NULL CHECK (octet_length(token_sha256) = 32),
	account_id bigint NOT NULL REFERENCES counterfoil.account,
	request_id bytea NOT NULL CHECK (octet_length(request_id) = 16),
	values_sha256 bytea NOT NULL CHECK (octet_length(values_sha256) = 32),
	message_ref bytea NOT NULL CHECK (octet_length(message_ref) = 32),
	message_id text NOT NULL,
	sender text NOT NULL,
	recipients text[] NOT NULL CHECK (cardinality(recipients) > 0),
	reader_url text NOT NULL,
	algorithm text NOT NULL,
	assurance text NOT NULL CHECK (assurance IN
	    ('bearer', 'mailbox', 'account', 'certificate')),
	opening_key bytea NOT NULL CHECK (octet_length(opening_key) = 32),
	possession_key bytea NOT NULL CHECK (octet_length(possession_key) = 32),
	key_commitment bytea NOT NULL CHECK (octet_length(key_commitment) = 32),
	issued_at timestamptz NOT NULL,
	PRIMARY KEY (key_id)
);
COMMENT ON TABLE counterfoil.key_issue IS
    'What was registered when a key was issued; never changed.';
COMMENT ON COLUMN counterfoil.key_issue.key_id IS
    'Chosen by the gateway; as base64url: the handle.';
COMMENT ON COLUMN counterfoil.key_issue.token_sha256 IS
    'SHA-256 of the secret half of the link.';
COMMENT ON COLUMN counterfoil.key_issue.account_id IS 'The issuer.';
COMMENT ON COLUMN counterfoil.key_issue.request_id IS
    'The request that came first with this key.';
COMMENT ON COLUMN counterfoil.key_issue.values_sha256 IS
    'SHA-256 over all values of the request for this key: a repeat of the '
    'same values gets the same answer, other values a conflict.';
COMMENT ON COLUMN counterfoil.key_issue.message_ref IS
    'The message, by a name only its gateway can make.';
COMMENT ON COLUMN counterfoil.key_issue.message_id IS
    'Message-ID of the mail, may be empty.';
COMMENT ON COLUMN counterfoil.key_issue.sender IS
    'Envelope sender; the receipt goes there.';
COMMENT ON COLUMN counterfoil.key_issue.recipients IS
    'Envelope recipients under this key.';
COMMENT ON COLUMN counterfoil.key_issue.reader_url IS
    'The sender''s own reader.';
COMMENT ON COLUMN counterfoil.key_issue.algorithm IS
    'How the message key is wrapped, e.g. kek-a256kw.';
COMMENT ON COLUMN counterfoil.key_issue.assurance IS
    'What a recipient must show besides the link.';
COMMENT ON COLUMN counterfoil.key_issue.opening_key IS
    'Ed25519 public key that opening proofs are made with.';
COMMENT ON COLUMN counterfoil.key_issue.possession_key IS
    'Ed25519 public key that a holder of the ciphertext signs with.';
COMMENT ON COLUMN counterfoil.key_issue.key_commitment IS
    'Hash that binds the decryption key.';
COMMENT ON COLUMN counterfoil.key_issue.issued_at IS 'When.';
-- For the list of one account's messages, newest first.
CREATE INDEX key_issue_account ON counterfoil.key_issue
    (account_id, issued_at, key_id);

CREATE TABLE counterfoil.key_material (
	key_id bytea NOT NULL CHECK (octet_length(key_id) = 16),
	master_id bytea NOT NULL CHECK (octet_length(master_id) = 8),
	salt bytea NOT NULL CHECK (octet_length(salt) = 16),
	wrapped bytea NOT NULL,
	PRIMARY KEY (key_id)
);
COMMENT ON TABLE counterfoil.key_material IS
    'The decryption keys, wrapped twice: inside under the token of the '
    'link, outside under the master key.';
COMMENT ON COLUMN counterfoil.key_material.key_id IS 'The key.';
COMMENT ON COLUMN counterfoil.key_material.master_id IS
    'Name of the master key of the outer layer.';
COMMENT ON COLUMN counterfoil.key_material.salt IS
    'Makes the outer layer''s key this row''s own.';
COMMENT ON COLUMN counterfoil.key_material.wrapped IS
    'Nonce, ciphertext and tag of the outer layer.';

-- A little room in each page keeps updates off the index.
CREATE TABLE counterfoil.key_state (
	key_id bytea NOT NULL CHECK (octet_length(key_id) = 16),
	revoked_at timestamptz,
	expires_at timestamptz,
	release_count integer NOT NULL DEFAULT 0,
	first_released_at timestamptz,
	first_opened_at timestamptz,
	hour_at timestamptz,
	hour_refused integer NOT NULL DEFAULT 0,
	hour_held integer NOT NULL DEFAULT 0,
	hour_more bigint NOT NULL DEFAULT 0,
	hour_released integer NOT NULL DEFAULT 0,
	PRIMARY KEY (key_id)
) WITH (fillfactor = 80);
COMMENT ON TABLE counterfoil.key_state IS
    'What changes about a key; the lock on its row decides races.';
COMMENT ON COLUMN counterfoil.key_state.key_id IS 'The key.';
COMMENT ON COLUMN counterfoil.key_state.revoked_at IS
    'The sender took the message back then; null: no.';
COMMENT ON COLUMN counterfoil.key_state.expires_at IS
    'No release from then on; null: never.';
COMMENT ON COLUMN counterfoil.key_state.release_count IS 'Releases so far.';
COMMENT ON COLUMN counterfoil.key_state.first_released_at IS
    'The first release; null: none.';
COMMENT ON COLUMN counterfoil.key_state.first_opened_at IS
    'The first opening proof; null: none.';
COMMENT ON COLUMN counterfoil.key_state.hour_at IS
    'Begin of the hour that the counts are of; null: none are.';
COMMENT ON COLUMN counterfoil.key_state.hour_refused IS
    'Refusals in it that are events, of requests without the sealed message.';
COMMENT ON COLUMN counterfoil.key_state.hour_held IS
    'Refusals in it that are events, of requests by a holder of the message.';
COMMENT ON COLUMN counterfoil.key_state.hour_more IS
    'Further refusals in it, which will be one event.';
COMMENT ON COLUMN counterfoil.key_state.hour_released IS
    'Releases in it, but for the first of all.';

CREATE TABLE counterfoil.key_release (
	key_id bytea NOT NULL CHECK (octet_length(key_id) = 16),
	release_id bytea NOT NULL CHECK (octet_length(release_id) = 16),
	secret_sha256 bytea NOT NULL CHECK (octet_length(secret_sha256) = 32),
	principal text NOT NULL,
	assurance text NOT NULL CHECK (assurance IN
	    ('bearer', 'mailbox', 'account', 'certificate')),
	origin text NOT NULL,
	released_at timestamptz NOT NULL,
	PRIMARY KEY (key_id, release_id)
);
COMMENT ON TABLE counterfoil.key_release IS
    'Every release of a key; never changed.';
COMMENT ON COLUMN counterfoil.key_release.key_id IS 'The key.';
COMMENT ON COLUMN counterfoil.key_release.release_id IS 'The release.';
COMMENT ON COLUMN counterfoil.key_release.secret_sha256 IS
    'SHA-256 of the secret that went out with the key; the opening proof '
    'must bring it.';
COMMENT ON COLUMN counterfoil.key_release.principal IS
    'To whom, as far as known: an account, a mailbox, or bearer.';
COMMENT ON COLUMN counterfoil.key_release.assurance IS
    'How the principal was checked.';
COMMENT ON COLUMN counterfoil.key_release.origin IS
    'Web origin of the page that asked, null from disk, - for none.';
COMMENT ON COLUMN counterfoil.key_release.released_at IS 'When.';

CREATE TABLE counterfoil.key_once (
	key_id bytea NOT NULL CHECK (octet_length(key_id) = 16),
	kind text NOT NULL CHECK (kind IN ('first-release', 'first-opening',
	    'opening', 'mismatch')),
	value bytea NOT NULL,
	at timestamptz NOT NULL,
	PRIMARY KEY (key_id, kind, value)
);
COMMENT ON TABLE counterfoil.key_once IS
    'Things that happen once; the primary key makes it so.';
COMMENT ON COLUMN counterfoil.key_once.key_id IS 'The key.';
COMMENT ON COLUMN counterfoil.key_once.kind IS
    'first-release, first-opening: by a principal, where keys have several; '
    'opening, mismatch: of a release.';
COMMENT ON COLUMN counterfoil.key_once.value IS
    'The principal or the release id.';
COMMENT ON COLUMN counterfoil.key_once.at IS 'When.';

-- A challenge is void after an hour at the most, and then so is its row.  The
-- hour that it was made in is part of it and gives its slot, so the primary
-- key makes it serve one release.  Four slots take turns: of the hour now, the
-- one before, the next for clocks that differ, and one that can be emptied.
CREATE TABLE counterfoil.challenge_used (
	key_id bytea NOT NULL CHECK (octet_length(key_id) = 16),
	random bytea NOT NULL CHECK (octet_length(random) = 16),
	slot smallint NOT NULL,
	network bytea NOT NULL CHECK (octet_length(network) IN (0, 3, 8)),
	at timestamptz NOT NULL,
	PRIMARY KEY (key_id, random, slot)
) PARTITION BY LIST (slot);
COMMENT ON TABLE counterfoil.challenge_used IS
    'Challenges that served a release; emptied when they are void.';
COMMENT ON COLUMN counterfoil.challenge_used.key_id IS 'The key.';
COMMENT ON COLUMN counterfoil.challenge_used.random IS
    'The challenge''s random bytes.';
COMMENT ON COLUMN counterfoil.challenge_used.slot IS
    'Hours since 1970 when it was made, modulo 4.';
COMMENT ON COLUMN counterfoil.challenge_used.network IS
    'Whence the release was asked for: /24 of IPv4, /64 of IPv6, or unknown.';
COMMENT ON COLUMN counterfoil.challenge_used.at IS 'When.';
CREATE TABLE counterfoil.challenge_used_0 PARTITION OF
    counterfoil.challenge_used FOR VALUES IN (0);
CREATE TABLE counterfoil.challenge_used_1 PARTITION OF
    counterfoil.challenge_used FOR VALUES IN (1);
CREATE TABLE counterfoil.challenge_used_2 PARTITION OF
    counterfoil.challenge_used FOR VALUES IN (2);
CREATE TABLE counterfoil.challenge_used_3 PARTITION OF
    counterfoil.challenge_used FOR VALUES IN (3);

-- Empties the slot whose challenges are void.  By the hour five minutes ago:
-- a release shortly before its challenge ended counts for an hour after.  It
-- waits for releases under way, and gives up soon: there is a next time.
CREATE FUNCTION counterfoil.drop_challenges() RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path = pg_catalog, counterfoil, pg_temp
    SET lock_timeout = '1s'
AS $$
DECLARE
	hour bigint := extract(epoch FROM now() - interval '5 minutes')::bigint
	    / 3600;
	name text := 'challenge_used_' || (hour + 2) % 4;
	any_row boolean;
BEGIN
	IF NOT pg_try_advisory_xact_lock(
	    hashtext('counterfoil.challenge_used')) THEN
		RETURN false;
	END IF;
	EXECUTE format('SELECT EXISTS (SELECT FROM counterfoil.%I)', name)
	    INTO any_row;
	IF any_row THEN
		EXECUTE format('TRUNCATE counterfoil.%I', name);
	END IF;
	RETURN any_row;
END
$$;
COMMENT ON FUNCTION counterfoil.drop_challenges() IS
    'Empties the slot of challenge_used whose challenges are void.';
REVOKE ALL ON FUNCTION counterfoil.drop_challenges() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION counterfoil.drop_challenges()
    TO counterfoil_keysrv;

CREATE TABLE counterfoil.message_once (
	message_ref bytea NOT NULL CHECK (octet_length(message_ref) = 32),
	account_id bigint NOT NULL REFERENCES counterfoil.account,
	recipient text NOT NULL,
	key_id bytea NOT NULL CHECK (octet_length(key_id) = 16),
	at timestamptz NOT NULL,
	PRIMARY KEY (message_ref, account_id, recipient)
);
COMMENT ON TABLE counterfoil.message_once IS
    'Which attempt at a message was released first: the sender is told of '
    'that one, its siblings are silent.';
COMMENT ON COLUMN counterfoil.message_once.message_ref IS 'The message.';
COMMENT ON COLUMN counterfoil.message_once.account_id IS 'Its issuer.';
COMMENT ON COLUMN counterfoil.message_once.recipient IS 'The recipient.';
COMMENT ON COLUMN counterfoil.message_once.key_id IS
    'Key of the attempt that was released first.';
COMMENT ON COLUMN counterfoil.message_once.at IS 'When.';

-- For the upkeep, which makes events of these.
CREATE INDEX key_state_more ON counterfoil.key_state (key_id)
    WHERE hour_more > 0;

GRANT SELECT, INSERT ON counterfoil.key_issue, counterfoil.key_material,
    counterfoil.key_state, counterfoil.key_release, counterfoil.key_once,
    counterfoil.message_once, counterfoil.challenge_used TO counterfoil_keysrv;
GRANT UPDATE (release_count, first_released_at, first_opened_at, hour_at,
    hour_refused, hour_held, hour_more, hour_released)
    ON counterfoil.key_state TO counterfoil_keysrv;
GRANT SELECT, UPDATE (master_id, salt, wrapped)
    ON counterfoil.key_material TO counterfoil_rotate;
GRANT SELECT (key_id, account_id) ON counterfoil.key_issue
    TO counterfoil_rotate;
