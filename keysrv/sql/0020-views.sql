-- SPDX-License-Identifier: Apache-2.0
-- Views for people with psql.  No secret and no proof stands in them.
--
-- What they say of releases and openings comes from tables that the key
-- server can only add to: event, key_issue and key_release.  A
-- column that tells of anything else has a comment that says "not evidence".

-- One value out of a record.
CREATE FUNCTION counterfoil.record_value(record text, name text)
    RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path = pg_catalog, pg_temp
    RETURN substring(E'\n' || record FROM E'\n' || name || E' ([^\n]*)\n');
COMMENT ON FUNCTION counterfoil.record_value(text, text) IS
    'The value of a line of an event record; null if there is no such line.';

CREATE VIEW counterfoil.receipt_log AS
SELECT e.at,
    e.type AS grade,
    r.assurance,
    i.sender,
    array_to_string(i.recipients, ', ') AS recipient,
    i.message_id,
    counterfoil.b64url(e.key_id) AS key_handle,
    r.principal,
    r.origin
FROM counterfoil.event e
JOIN counterfoil.key_issue i USING (key_id)
JOIN counterfoil.key_release r
    ON r.key_id = e.key_id AND r.release_id = e.release_id
WHERE e.type IN ('released', 'opened', 'mismatch');
COMMENT ON VIEW counterfoil.receipt_log IS
    'Receipts: what was released or opened, when, and how it was checked.';
COMMENT ON COLUMN counterfoil.receipt_log.at IS
    'When, by the database''s clock.';
COMMENT ON COLUMN counterfoil.receipt_log.grade IS
    'released, opened or mismatch.';
COMMENT ON COLUMN counterfoil.receipt_log.assurance IS
    'How the recipient was checked; bearer: not at all.';
COMMENT ON COLUMN counterfoil.receipt_log.sender IS 'Envelope sender.';
COMMENT ON COLUMN counterfoil.receipt_log.recipient IS
    'Envelope recipient, to whom the mail was addressed.';
COMMENT ON COLUMN counterfoil.receipt_log.message_id IS
    'Message-ID of the mail.';
COMMENT ON COLUMN counterfoil.receipt_log.key_handle IS
    'The key, as in the link.';
COMMENT ON COLUMN counterfoil.receipt_log.principal IS
    'To whom the key went, as far as the assurance says.';
COMMENT ON COLUMN counterfoil.receipt_log.origin IS
    'Web origin of the page that asked.';

-- The columns of the status page of WO 01/97432, fig. 10.  The first release
-- is an event, whatever key_state says; a key stays listed though its
-- account or its state should be gone.
CREATE VIEW counterfoil.message_key_status AS
SELECT counterfoil.b64url(i.key_id) AS "Key ID #",
    i.issued_at AS "Creation Date & Time",
    '/k/' || counterfoil.b64url(i.key_id) AS "Key Locator",
    coalesce(to_char(r.at AT TIME ZONE 'UTC',
	'YYYY-MM-DD HH24:MI:SS "UTC"'),
	CASE WHEN s.revoked_at IS NOT NULL THEN 'Revoked'
	WHEN s.expires_at <= now() THEN 'Expired Unread'
	ELSE 'Not Yet Retrieved' END) AS "Retrieval Status",
    CASE WHEN r.at IS NULL THEN 'N. A.'
	ELSE array_to_string(i.recipients, ', ') END AS "Recipient",
    coalesce(a.name, '(account ' || i.account_id || ')') AS "Account",
    i.sender AS "Sender",
    i.message_id AS "Message-ID",
    coalesce((SELECT string_agg(DISTINCT o.state, ', ')
	FROM counterfoil.outbox o WHERE o.key_id = i.key_id),
	'none') AS "Receipt Mail"
FROM counterfoil.key_issue i
LEFT JOIN counterfoil.key_state s USING (key_id)
LEFT JOIN counterfoil.account a USING (account_id)
LEFT JOIN LATERAL (SELECT min(e.at) AS at FROM counterfoil.event e
    WHERE e.key_id = i.key_id AND e.type = 'released') r ON true;
COMMENT ON VIEW counterfoil.message_key_status IS
    'Keys and whether they were retrieved, as in WO 01/97432, fig. 10.';
COMMENT ON COLUMN counterfoil.message_key_status."Key ID #" IS
    'The key, as in the link.';
COMMENT ON COLUMN counterfoil.message_key_status."Creation Date & Time" IS
    'When the key was issued.';
COMMENT ON COLUMN counterfoil.message_key_status."Key Locator" IS
    'Where it is asked for, below the service''s URL.';
COMMENT ON COLUMN counterfoil.message_key_status."Retrieval Status" IS
    'When the key was first given out, or that it was not.  Revoked and '
    'Expired Unread add what the key''s state says now: not evidence.';
COMMENT ON COLUMN counterfoil.message_key_status."Recipient" IS
    'Envelope recipient, once the key was given out.';
COMMENT ON COLUMN counterfoil.message_key_status."Account" IS
    'Present name of the issuer''s account; not evidence.';
COMMENT ON COLUMN counterfoil.message_key_status."Sender" IS
    'Envelope sender.';
COMMENT ON COLUMN counterfoil.message_key_status."Message-ID" IS
    'Message-ID of the mail.';
COMMENT ON COLUMN counterfoil.message_key_status."Receipt Mail" IS
    'Where the receipt mails about it are: waiting, sent, undeliverable or '
    'none; not evidence.';

CREATE VIEW counterfoil.refusal_log AS
SELECT e.at,
    counterfoil.record_value(e.record, 'reason') AS reason,
    i.sender,
    array_to_string(i.recipients, ', ') AS recipient,
    i.message_id,
    counterfoil.b64url(e.key_id) AS key_handle,
    counterfoil.record_value(e.record, 'origin') AS origin,
    coalesce(counterfoil.record_value(e.record, 'count')::bigint, 1) AS count
FROM counterfoil.event e
JOIN counterfoil.key_issue i USING (key_id)
WHERE e.type = 'refused';
COMMENT ON VIEW counterfoil.refusal_log IS
    'Requests for a key that were refused, and why.';
COMMENT ON COLUMN counterfoil.refusal_log.at IS
    'When, by the database''s clock.';
COMMENT ON COLUMN counterfoil.refusal_log.reason IS
    'The criterion or proof that failed; repeated: further ones in an hour.';
COMMENT ON COLUMN counterfoil.refusal_log.sender IS 'Envelope sender.';
COMMENT ON COLUMN counterfoil.refusal_log.recipient IS
    'Envelope recipient, to whom the mail was addressed.';
COMMENT ON COLUMN counterfoil.refusal_log.message_id IS
    'Message-ID of the mail.';
COMMENT ON COLUMN counterfoil.refusal_log.key_handle IS
    'The key, as in the link.';
COMMENT ON COLUMN counterfoil.refusal_log.origin IS
    'Web origin of the page that asked.';
COMMENT ON COLUMN counterfoil.refusal_log.count IS
    'How many requests it stands for.';

GRANT SELECT ON counterfoil.receipt_log, counterfoil.message_key_status,
    counterfoil.refusal_log TO counterfoil_auditor;
GRANT EXECUTE ON FUNCTION counterfoil.record_value(text, text),
    counterfoil.b64url(bytea) TO counterfoil_auditor;
