/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cf_hex - a byte that is written as two hexadecimal digits: %41 of URLs and
 * forms, =41 of quoted-printable.
 */
#ifndef CF_COMMON_HEX_H
#define CF_COMMON_HEX_H

static inline int
cf_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/*
 * 0 to 255, or -1: the two characters at `s` are not such digits.  The second
 * is not looked at if the first is none.
 */
static inline int
cf_hex_byte(const char *s)
{
	int high = cf_hex_digit(s[0]);
	int low = high < 0 ? -1 : cf_hex_digit(s[1]);

	return low < 0 ? -1 : high * 16 + low;
}

#endif
