-- SPDX-License-Identifier: Apache-2.0
-- Views for people with psql.  No secret and no proof stands in them.

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
COMMENT ON COLUMN counterfoil.receipt_log.at IS 'When.';
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

-- The columns of the status page of WO 01/97432, fig. 10.
CREATE VIEW counterfoil.message_key_status AS
SELECT counterfoil.b64url(i.key_id) AS "Key ID #",
    i.issued_at AS "Creation Date & Time",
    '/k/' || counterfoil.b64url(i.key_id) AS "Key Locator",
    coalesce(to_char(s.first_released_at AT TIME ZONE 'UTC',
	'YYYY-MM-DD HH24:MI:SS "UTC"'),
	CASE WHEN s.revoked_at IS NOT NULL THEN 'Revoked'
	ELSE 'Not Yet Retrieved' END) AS "Retrieval Status",
    CASE WHEN s.first_released_at IS NULL THEN 'N. A.'
	ELSE array_to_string(i.recipients, ', ') END AS "Recipient",
    a.name AS "Account",
    i.sender AS "Sender",
    i.message_id AS "Message-ID"
FROM counterfoil.key_issue i
JOIN counterfoil.key_state s USING (key_id)
JOIN counterfoil.account a USING (account_id);
COMMENT ON VIEW counterfoil.message_key_status IS
    'Keys and whether they were retrieved, as in WO 01/97432, fig. 10.';

CREATE VIEW counterfoil.refusal_log AS
SELECT e.at,
    counterfoil.record_value(e.record, 'reason') AS reason,
    i.sender,
    array_to_string(i.recipients, ', ') AS recipient,
    i.message_id,
    counterfoil.b64url(e.key_id) AS key_handle,
    counterfoil.record_value(e.record, 'origin') AS origin
FROM counterfoil.event e
JOIN counterfoil.key_issue i USING (key_id)
WHERE e.type = 'refused';
COMMENT ON VIEW counterfoil.refusal_log IS
    'Requests for a key that were refused, and why.';

GRANT SELECT ON counterfoil.receipt_log, counterfoil.message_key_status,
    counterfoil.refusal_log TO counterfoil_auditor;
GRANT EXECUTE ON FUNCTION counterfoil.record_value(text, text),
    counterfoil.b64url(bytea) TO counterfoil_auditor;
