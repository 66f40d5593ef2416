-- SPDX-License-Identifier: Apache-2.0
-- Keys can have an end: one that came before the key was asked for shows.
CREATE OR REPLACE VIEW counterfoil.message_key_status AS
SELECT counterfoil.b64url(i.key_id) AS "Key ID #",
    i.issued_at AS "Creation Date & Time",
    '/k/' || counterfoil.b64url(i.key_id) AS "Key Locator",
    coalesce(to_char(s.first_released_at AT TIME ZONE 'UTC',
	'YYYY-MM-DD HH24:MI:SS "UTC"'),
	CASE WHEN s.revoked_at IS NOT NULL THEN 'Revoked'
	WHEN s.expires_at <= now() THEN 'Expired Unread'
	ELSE 'Not Yet Retrieved' END) AS "Retrieval Status",
    CASE WHEN s.first_released_at IS NULL THEN 'N. A.'
	ELSE array_to_string(i.recipients, ', ') END AS "Recipient",
    a.name AS "Account",
    i.sender AS "Sender",
    i.message_id AS "Message-ID"
FROM counterfoil.key_issue i
JOIN counterfoil.key_state s USING (key_id)
JOIN counterfoil.account a USING (account_id);
