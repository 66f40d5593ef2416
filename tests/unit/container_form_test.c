/* SPDX-License-Identifier: Apache-2.0 */
/* The container's DER, and each other form of it, built from pieces. */
#include "common/container.h"
#include "tests/unit/fixture.h"

struct piece {
	unsigned char der[1024];
	size_t len;
};

static struct piece
raw(const char *hex)
{
	struct piece p = { { 0 }, 0 };
	unsigned byte;

	for (; *hex != '\0'; hex += 2, hex += *hex == ' ') {
		assert_int_equal(sscanf(hex, "%2x", &byte), 1);
		p.der[p.len++] = (unsigned char)byte;
	}
	return p;
}

static struct piece
fill(unsigned char byte, size_t len)
{
	struct piece p = { { 0 }, len };

	memset(p.der, byte, len);
	return p;
}

static struct piece
join(struct piece a, struct piece b)
{
	memcpy(a.der + a.len, b.der, b.len);
	a.len += b.len;
	return a;
}

enum form { SHORTEST, ONE_MORE, FIVE, INDEFINITE };

static struct piece
tlv_form(unsigned char tag, struct piece body, enum form form)
{
	struct piece p = { { tag }, 1 };

	if (form == INDEFINITE) {
		p.der[p.len++] = 0x80;
		return join(join(p, body), raw("0000"));
	}
	if (form == FIVE) {
		p = join(p, raw("85000000"));
		p.der[p.len++] = (unsigned char)(body.len >> 8);
	} else if (body.len > 255) {
		p.der[p.len++] = form == ONE_MORE ? 0x83 : 0x82;
		if (form == ONE_MORE)
			p.der[p.len++] = 0;
		p.der[p.len++] = (unsigned char)(body.len >> 8);
	} else if (body.len > 127 || form == ONE_MORE) {
		p.der[p.len++] = body.len > 127 && form == ONE_MORE ? 0x82 :
		    0x81;
		if (body.len > 127 && form == ONE_MORE)
			p.der[p.len++] = 0;
	}
	p.der[p.len++] = (unsigned char)body.len;
	return join(p, body);
}

static struct piece
tlv(unsigned char tag, struct piece body)
{
	return tlv_form(tag, body, SHORTEST);
}

/* What is unusual about this E; zero is what we write. */
struct odd {
	const char *what;
	const char *type, *version, *content_type, *cipher, *wrap, *icvlen;
	const char *auth_attrs, *unauth_attrs, *originator, *after;
	int recipients, id_len, nonce_len, tag_len, kek_version;
	bool wrap_null, date, pieces;
	enum form outer, explicit, inner, content, cipher_form, mac;
};

static struct piece
build(const struct odd *o)
{
#define OR(field, usual) (o->field == NULL ? raw(usual) : raw(o->field))
	struct piece none = { { 0 }, 0 }, r, rs = none, c, e;
	int i;

	r = tlv(4, fill('k', o->id_len == 0 ? 16 : (size_t)o->id_len));
	if (o->date)
		r = join(r, tlv(0x18, fill('0', 15)));
	r = join(raw(o->kek_version == 3 ? "020103" : "020104"),
	    tlv(0x30, r));
	c = OR(wrap, "060960864801650304012d");
	if (o->wrap_null)
		c = join(c, raw("0500"));
	r = join(join(r, tlv(0x30, c)), tlv(4, fill('w', 40)));
	for (i = o->recipients == 0 ? 1 : o->recipients; i > 0; i--)
		rs = join(rs, tlv(0xa2, r));
	c = tlv(4, fill('n', o->nonce_len == 0 ? 12 : (size_t)o->nonce_len));
	c = join(c, OR(icvlen, "020110"));
	c = join(OR(cipher, "060960864801650304012e"), tlv(0x30, c));
	c = join(OR(content_type, "06092a864886f70d010701"), tlv(0x30, c));
	c = join(c, o->pieces ? tlv(0xa0, tlv(4, fill('c', 20))) :
	    tlv_form(0x80, fill('c', 20), o->cipher_form));
	e = join(OR(version, "020100"), OR(originator, ""));
	e = join(join(e, tlv(0x31, rs)), tlv_form(0x30, c, o->content));
	e = join(e, OR(auth_attrs, ""));
	e = join(e, tlv_form(4, fill('t', o->tag_len == 0 ? 16 :
	    (size_t)o->tag_len), o->mac));
	e = join(e, OR(unauth_attrs, ""));
	e = tlv_form(0xa0, tlv_form(0x30, e, o->inner), o->explicit);
	e = tlv_form(0x30, join(OR(type, "060b2a864886f70d0109100117"), e),
	    o->outer);
	return join(e, OR(after, ""));
#undef OR
}

static const struct odd odds[] = {
	{ .what = "SignedData", .type = "06092a864886f70d010702" },
	{ .what = "EnvelopedData", .type = "06092a864886f70d010703" },
	{ .what = "version 1", .version = "020101" },
	{ .what = "content type signed", .content_type =
	    "06092a864886f70d010702" },
	{ .what = "content type 8", .content_type = "06082a864886f70d0107" },
	{ .what = "aes256-CBC", .cipher = "060960864801650304012a" },
	{ .what = "aes128-GCM", .cipher = "0609608648016503040106" },
	{ .what = "aes256-wrap-pad", .wrap = "0609608648016503040130" },
	{ .what = "wrap parameters", .wrap_null = true },
	{ .what = "ICVlen 4", .icvlen = "020104" },
	{ .what = "ICVlen 12", .icvlen = "02010c" },
	{ .what = "ICVlen default", .icvlen = "" },
	{ .what = "ICVlen padded", .icvlen = "02020010" },
	{ .what = "tag of 4", .icvlen = "020104", .tag_len = 4 },
	{ .what = "tag of 12", .icvlen = "02010c", .tag_len = 12 },
	{ .what = "tag of 12, claim of 16", .tag_len = 12 },
	{ .what = "tag of 4, claim of 16", .tag_len = 4 },
	{ .what = "tag of 15", .tag_len = 15 },
	{ .what = "tag of 17", .tag_len = 17 },
	{ .what = "nonce of 8", .nonce_len = 8 },
	{ .what = "nonce of 16", .nonce_len = 16 },
	{ .what = "key id of 15", .id_len = 15 },
	{ .what = "key id of 32", .id_len = 32 },
	{ .what = "two recipients", .recipients = 2 },
	{ .what = "no recipient", .recipients = -1 },
	{ .what = "KEK version 3", .kek_version = 3 },
	{ .what = "key date", .date = true },
	{ .what = "authAttrs", .auth_attrs = "a1143012 06092a864886f70d010903 "
	    "3105 060307080900" },
	{ .what = "empty authAttrs", .auth_attrs = "a100" },
	{ .what = "unauthAttrs", .unauth_attrs = "a200" },
	{ .what = "originatorInfo", .originator = "a000" },
	{ .what = "trailing byte", .after = "00" },
	{ .what = "trailing bytes", .after = "3000300030003000" },
	{ .what = "ciphertext in pieces", .pieces = true },
	{ .what = "indefinite outer", .outer = INDEFINITE },
	{ .what = "indefinite explicit", .explicit = INDEFINITE },
	{ .what = "indefinite inner", .inner = INDEFINITE },
	{ .what = "indefinite content", .content = INDEFINITE },
	{ .what = "indefinite ciphertext", .cipher_form = INDEFINITE },
	{ .what = "five-byte outer", .outer = FIVE },
	{ .what = "five-byte ciphertext", .cipher_form = FIVE },
	{ .what = "five-byte mac", .mac = FIVE },
	{ .what = "long outer", .outer = ONE_MORE },
	{ .what = "long explicit", .explicit = ONE_MORE },
	{ .what = "long inner", .inner = ONE_MORE },
	{ .what = "long content", .content = ONE_MORE },
	{ .what = "long ciphertext", .cipher_form = ONE_MORE },
	{ .what = "long mac", .mac = ONE_MORE },
};

static void
t_other_forms_are_refused(void **state)
{
	static const struct odd usual = { .what = "ours" };
	struct piece p = build(&usual);
	struct cf_container c;
	struct cf_why why;
	size_t i;

	(void)state;
	assert_int_equal(cf_container_parse(p.der, p.len, &c, &why), CF_OK);
	assert_memory_equal(c.ciphertext, "cccccccccccccccccccc", 20);
	assert_memory_equal(c.tag, "tttttttttttttttt", 16);
	for (i = 0; i < sizeof odds / sizeof odds[0]; i++) {
		p = build(&odds[i]);
		if (cf_container_parse(p.der, p.len, &c, &why) !=
		    CF_E_CONTAINER)
			fail_msg("%s was accepted", odds[i].what);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_other_forms_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
