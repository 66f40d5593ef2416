-- SPDX-License-Identifier: Apache-2.0
-- The outbox: one row is one mail, from what it tells of to sent.  A kind of
-- mail says in a CHECK which columns it needs; the others are null.
--
-- Receipts.  A first release inserts a row with kind 'released', not_before a
-- little later; next_try and the rest keep their defaults.  An opening proof
-- turns that row into kind 'opened' with event_id of the opened event, while
-- it is waiting and lease_until is null or past, and puts its number into
-- outbox_early; otherwise it inserts a row of its own.  No index of another
-- table, no foreign key: the row holds all that its mail says.
--
-- A row changes two or three times within a minute, and only what becomes of
-- it in the end touches an index; room for the changes is left in each page.
CREATE TABLE counterfoil.outbox (
	outbox_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	event_id bytea NOT NULL CHECK (octet_length(event_id) = 16),
	key_id bytea CHECK (octet_length(key_id) = 16),
	message_ref bytea,
	kind text NOT NULL CHECK (kind IN ('released', 'opened')),
	sender text,
	recipient text,
	original_message_id text,
	released_at timestamptz,
	opened_at timestamptz,
	assurance text
	    CHECK (assurance IN ('bearer', 'mailbox', 'account', 'certificate')),
	principal text,
	details text,
	not_before timestamptz NOT NULL,
	next_try timestamptz NOT NULL DEFAULT '-infinity',
	lease_until timestamptz,
	attempts integer NOT NULL DEFAULT 0,
	state text NOT NULL DEFAULT 'waiting'
	    CHECK (state IN ('waiting', 'sent', 'undeliverable')),
	last_error text,
	sent_at timestamptz,
	created_at timestamptz NOT NULL DEFAULT now(),
	CONSTRAINT outbox_receipt CHECK (kind NOT IN ('released', 'opened') OR
	    (key_id IS NOT NULL AND message_ref IS NOT NULL AND
	    sender IS NOT NULL AND recipient IS NOT NULL AND
	    original_message_id IS NOT NULL AND released_at IS NOT NULL AND
	    assurance IS NOT NULL AND principal IS NOT NULL)),
	CONSTRAINT outbox_opened CHECK (kind <> 'opened' OR
	    opened_at IS NOT NULL),
	CHECK ((state = 'sent') = (sent_at IS NOT NULL))
) WITH (fillfactor = 70);
COMMENT ON TABLE counterfoil.outbox IS
    'Mails, such as receipts to senders: waiting, sent or undeliverable.';
COMMENT ON COLUMN counterfoil.outbox.outbox_id IS
    'Number of the row; says nothing about order.';
COMMENT ON COLUMN counterfoil.outbox.event_id IS
    'The event that the mail tells of; its HMAC is the Message-ID.';
COMMENT ON COLUMN counterfoil.outbox.key_id IS
    'The key that it is about; its base64url is the handle in the Subject.';
COMMENT ON COLUMN counterfoil.outbox.message_ref IS
    'The message that the key belongs to.';
COMMENT ON COLUMN counterfoil.outbox.kind IS
    'What mail it is; released or opened: a receipt of that grade.';
COMMENT ON COLUMN counterfoil.outbox.sender IS
    'Envelope sender of the message, to whom the receipt goes.';
COMMENT ON COLUMN counterfoil.outbox.recipient IS
    'Envelope recipient of the message.';
COMMENT ON COLUMN counterfoil.outbox.original_message_id IS
    'Message-ID of the message; may be empty.';
COMMENT ON COLUMN counterfoil.outbox.released_at IS
    'When the key was given out.';
COMMENT ON COLUMN counterfoil.outbox.opened_at IS
    'When the proof of opening came; null for released.';
COMMENT ON COLUMN counterfoil.outbox.assurance IS
    'How the recipient was checked.';
COMMENT ON COLUMN counterfoil.outbox.principal IS
    'To whom the key went, as far as the assurance says.';
COMMENT ON COLUMN counterfoil.outbox.details IS
    'What the other columns have no place for; null for receipts.';
COMMENT ON COLUMN counterfoil.outbox.not_before IS
    'When the mail is due, if it does not stand in outbox_early.';
COMMENT ON COLUMN counterfoil.outbox.next_try IS
    'Not before that either, after a failure: the back-off.';
COMMENT ON COLUMN counterfoil.outbox.lease_until IS
    'Somebody is sending this row until then; null or past: free.';
COMMENT ON COLUMN counterfoil.outbox.attempts IS
    'Leases so far; marks a late worker''s answer as out of date.';
COMMENT ON COLUMN counterfoil.outbox.state IS
    'waiting, sent or undeliverable.';
COMMENT ON COLUMN counterfoil.outbox.last_error IS
    'What the mail server or the network said last.';
COMMENT ON COLUMN counterfoil.outbox.sent_at IS
    'When the mail server took the mail.';
COMMENT ON COLUMN counterfoil.outbox.created_at IS
    'When the row was written.';

-- For the search for due rows; sent ones are not in it.
CREATE INDEX outbox_due ON counterfoil.outbox (not_before)
    WHERE state = 'waiting';
-- For the opening proof, the second mail's wording and the status page.
CREATE INDEX outbox_key ON counterfoil.outbox (key_id);

-- Without an index: there are few, and all are read.  One that is not there
-- (its sender was killed) is sent when not_before comes.
CREATE TABLE counterfoil.outbox_early (
	outbox_id bigint NOT NULL
);
COMMENT ON TABLE counterfoil.outbox_early IS
    'Rows of the outbox to be sent before their time, until they are leased.';
COMMENT ON COLUMN counterfoil.outbox_early.outbox_id IS
    'The row, which tells of an opening.';

GRANT SELECT, INSERT ON counterfoil.outbox TO counterfoil_keysrv;
-- The opening's upgrade of a row that waits, then lease and outcome.  To whom
-- the mail goes and what it says of the release stays as it was inserted.
GRANT UPDATE (kind, event_id, opened_at, not_before, next_try, lease_until,
    attempts, state, last_error, sent_at)
    ON counterfoil.outbox TO counterfoil_keysrv;
-- To update is to lock them.
GRANT SELECT, INSERT, UPDATE, DELETE ON counterfoil.outbox_early
    TO counterfoil_keysrv;
-- What was sent or given up stays so; the owner may have it sent again.  Said
-- otherwise than in outbox_due: a plan made while nobody waits would look
-- through that index for each row, whatever its number.
ALTER TABLE counterfoil.outbox ENABLE ROW LEVEL SECURITY;
CREATE POLICY outbox_read ON counterfoil.outbox FOR SELECT
    TO counterfoil_keysrv USING (true);
CREATE POLICY outbox_add ON counterfoil.outbox FOR INSERT
    TO counterfoil_keysrv WITH CHECK (state = 'waiting');
CREATE POLICY outbox_change ON counterfoil.outbox FOR UPDATE
    TO counterfoil_keysrv USING (state NOT IN ('sent', 'undeliverable'))
    WITH CHECK (true);
