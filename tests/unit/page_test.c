/* SPDX-License-Identifier: Apache-2.0 */
/* Pages: what stands where, and that no text is ever markup. */
#include "keysrv/web/page.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/fixture.h"

#define EVIL "<a b='c' d=\"e\">&amp;</script>"
#define EVIL_SAFE "&lt;a b=&#39;c&#39; d=&quot;e&quot;&gt;&amp;amp;" \
	"&lt;/script&gt;"
#define NOT_SHOWN "\xef\xbf\xbd"

static struct cf_buf out;
static struct cf_page page;

static void
begin(const char *title)
{
	cf_buf_free(&out);
	out = (struct cf_buf)CF_BUF_INIT(100000);
	cf_page_begin(&page, &out, "en", title);
}

/* What was written since begin(), up to the end. */
static const char *
parts(void)
{
	const char *body = strstr(cf_buf_str(&out), "</h1>\n");

	assert_non_null(body);
	return body + 6;
}

static void
t_a_page_is_whole(void **state)
{
	(void)state;
	begin("Hello");
	assert_false(page.has_form);
	cf_page_heading(&page, "One");
	cf_page_para(&page, "Text.");
	cf_page_end(&page);
	assert_string_equal(cf_buf_str(&out), "<!DOCTYPE html>\n"
	    "<html lang=\"en\"><head><meta charset=\"utf-8\">"
	    "<meta name=\"viewport\" content=\"width=device-width\">"
	    "<meta name=\"robots\" content=\"noindex\">"
	    "<title>Hello</title></head>\n<body><h1>Hello</h1>\n"
	    "<h2>One</h2>\n<p>Text.</p>\n</body></html>\n");
	assert_false(page.has_form);
}

static void
t_a_paragraph_has_text_names_code_and_links(void **state)
{
	(void)state;
	begin("x");
	cf_page_para_open(&page);
	cf_page_text(&page, "See ");
	cf_page_link(&page, "https://a.example/b?c=d&e", "there");
	cf_page_text(&page, ", ");
	cf_page_link(&page, "/front", "here");
	cf_page_text(&page, ", type ");
	cf_page_code(&page, "ls -l");
	cf_page_text(&page, " to ");
	cf_page_name(&page, "A.\nB \xe2\x80\xae" "C");
	cf_page_para_close(&page);
	assert_string_equal(parts(), "<p>See <a rel=\"noreferrer\" "
	    "href=\"https://a.example/b?c=d&amp;e\">there</a>, "
	    "<a href=\"/front\">here</a>, type <code>ls -l</code> to "
	    "A. B " NOT_SHOWN "C</p>\n");
}

/* Everywhere where a text can be. */
static void
t_no_text_is_markup(void **state)
{
	const struct cf_page_field field = { .name = EVIL, .label = EVIL,
	    .value = EVIL };
	const char *p;
	size_t count = 0;

	(void)state;
	cf_buf_free(&out);
	out = (struct cf_buf)CF_BUF_INIT(100000);
	cf_page_begin(&page, &out, EVIL, EVIL);
	cf_page_heading(&page, EVIL);
	cf_page_para(&page, EVIL);
	cf_page_para_open(&page);
	cf_page_text(&page, EVIL);
	cf_page_name(&page, EVIL);
	cf_page_code(&page, EVIL);
	cf_page_link(&page, "https://x/\"><b>'&", EVIL);
	cf_page_link(&page, "javascript:" EVIL, EVIL);
	cf_page_para_close(&page);
	cf_page_form_open(&page, "/x?\"><b>'&", EVIL);
	cf_page_hidden(&page, EVIL, EVIL);
	cf_page_field(&page, &field);
	cf_page_button(&page, EVIL);
	cf_page_form_close(&page);
	cf_page_end(&page);
	assert_null(strstr(cf_buf_str(&out), "<a b"));
	assert_null(strstr(cf_buf_str(&out), "<b>"));
	assert_null(strstr(cf_buf_str(&out), "</script"));
	assert_null(strstr(cf_buf_str(&out), "\"e\""));
	for (p = cf_buf_str(&out); (p = strstr(p, EVIL_SAFE)) != NULL; p++)
		count++;
	/* lang, title twice, seven texts, token, twice hidden, field: for, id,
	 * name, label and value, button */
	assert_int_equal(count, 1 + 2 + 7 + 1 + 2 + 5 + 1);
}

static void
t_what_is_no_text_is_shown_as_such(void **state)
{
	static const struct {
		const char *given, *shown;
	} rows[] = {
		{ "a\x01" "b\nc\td", "a" NOT_SHOWN "b" NOT_SHOWN "c"
		    NOT_SHOWN "d" },
		{ "\x7f\xc2\x9b", NOT_SHOWN NOT_SHOWN },
		/* half a character, one said too long, a surrogate */
		{ "\xc3", NOT_SHOWN },
		{ "\xc3<", NOT_SHOWN "&lt;" },
		{ "\xc0\xbc", NOT_SHOWN NOT_SHOWN },
		{ "\xed\xa0\x80", NOT_SHOWN NOT_SHOWN NOT_SHOWN },
		{ "\xff\xfe", NOT_SHOWN NOT_SHOWN },
		{ "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x94\x91",
		    "h\xc3\xa9 \xe2\x82\xac \xf0\x9f\x94\x91" },
	};
	char want[100];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		begin("x");
		cf_page_para(&page, rows[i].given);
		(void)snprintf(want, sizeof want, "<p>%s</p>\n",
		    rows[i].shown);
		assert_string_equal(parts(), want);
	}
}

static void
t_a_link_leads_to_the_web_or_to_us(void **state)
{
	static const char *const bad[] = { "javascript:alert(1)",
	    "JavaScript:x", "data:text/html,x", "ftp://x", "//evil.example/",
	    "/\\evil.example/", "mailto:a@b", "", "x", "https:/x",
	    " https://x", "https://x y", "https://x\n", "\thttps://x",
	    "java\nscript:x", "https://\xc3\xa9.example/", "HTTPS://x" };
	static const char *const good[] = { "https://x", "http://[::1]:8080/",
	    "/", "/a/b?c#d" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		begin("x");
		cf_page_para_open(&page);
		cf_page_link(&page, bad[i], "text");
		assert_string_equal(parts(), "<p>text");
	}
	for (i = 0; i < sizeof good / sizeof good[0]; i++) {
		begin("x");
		cf_page_para_open(&page);
		cf_page_link(&page, good[i], "text");
		assert_non_null(strstr(parts(), " href="));
		assert_non_null(strstr(parts(), good[i]));
	}
}

static void
t_a_form_is_sent_to_us_with_its_token(void **state)
{
	static const struct cf_page_field fields[] = {
		{ .name = "mail", .label = "Address", .max = 254,
		    .input = CF_PAGE_EMAIL, .value = "a@b" },
		{ .name = "code", .label = "Code", .input = CF_PAGE_CODE },
		{ .name = "old", .label = "Old", .input = CF_PAGE_PASSWORD },
		{ .name = "new", .label = "New",
		    .input = CF_PAGE_NEW_PASSWORD },
		{ .name = "full", .label = "Name", .optional = true },
		{ .name = "keep", .label = "Stay", .optional = true,
		    .input = CF_PAGE_CHECKBOX },
		{ .name = "all", .label = "All", .optional = true,
		    .input = CF_PAGE_CHECKBOX, .value = "yes" },
	};
	size_t i;

	(void)state;
	begin("x");
	cf_page_form_open(&page, "/login", "t0ken");
	cf_page_hidden(&page, "step", "2");
	for (i = 0; i < sizeof fields / sizeof fields[0]; i++)
		cf_page_field(&page, &fields[i]);
	cf_page_button(&page, "Go");
	cf_page_form_close(&page);
	cf_page_end(&page);
	assert_true(page.has_form);
#define FIELD(name, label, rest) "<p><label for=\"" name "\">" label \
	"</label> <input type=" rest "></p>\n"
	assert_string_equal(parts(),
	    "<form method=\"post\" action=\"/login\">\n"
	    "<input type=\"hidden\" name=\"csrf\" value=\"t0ken\">\n"
	    "<input type=\"hidden\" name=\"step\" value=\"2\">\n"
	    FIELD("mail", "Address", "\"email\" id=\"mail\" name=\"mail\" "
		"autocomplete=\"email\" value=\"a@b\" maxlength=\"254\" "
		"required")
	    FIELD("code", "Code", "\"text\" id=\"code\" name=\"code\" "
		"autocomplete=\"one-time-code\" inputmode=\"numeric\" "
		"required")
	    FIELD("old", "Old", "\"password\" id=\"old\" name=\"old\" "
		"autocomplete=\"current-password\" required")
	    FIELD("new", "New", "\"password\" id=\"new\" name=\"new\" "
		"autocomplete=\"new-password\" required")
	    FIELD("full", "Name", "\"text\" id=\"full\" name=\"full\"")
	    FIELD("keep", "Stay", "\"checkbox\" id=\"keep\" name=\"keep\" "
		"value=\"yes\"")
	    FIELD("all", "All", "\"checkbox\" id=\"all\" name=\"all\" "
		"value=\"yes\" checked")
	    "<p><button>Go</button></p>\n</form>\n</body></html>\n");
#undef FIELD
}

/* ---- our own mistakes ---- */

static void
text_between_parts(void)
{
	cf_page_text(&page, "x");
}

static void
end_in_a_paragraph(void)
{
	cf_page_para_open(&page);
	cf_page_end(&page);
}

static void
form_in_a_paragraph(void)
{
	cf_page_para_open(&page);
	cf_page_form_open(&page, "/x", "t");
}

static void
field_without_a_form(void)
{
	cf_page_field(&page, &(struct cf_page_field){ .name = "x",
	    .label = "x" });
}

static void
end_in_a_form(void)
{
	cf_page_form_open(&page, "/x", "t");
	cf_page_end(&page);
}

static void
form_to_another_host(void)
{
	cf_page_form_open(&page, "//evil.example/", "t");
}

static void
form_to_an_address(void)
{
	cf_page_form_open(&page, "https://evil.example/", "t");
}

static void
form_to_a_line(void)
{
	cf_page_form_open(&page, "/x\n", "t");
}

static void
end_twice(void)
{
	cf_page_end(&page);
	cf_page_end(&page);
}

static void
t_a_part_at_the_wrong_place_is_a_bug(void **state)
{
	static void (*const wrong[])(void) = { text_between_parts,
	    end_in_a_paragraph, form_in_a_paragraph, field_without_a_form,
	    end_in_a_form, form_to_another_host, form_to_an_address,
	    form_to_a_line, end_twice };
	size_t i;
	pid_t pid;
	int status;

	(void)state;
	for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		begin("x");
		fflush(NULL);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			(void)signal(SIGABRT, SIG_DFL);
			(void)close(STDERR_FILENO);
			wrong[i]();
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGABRT);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_a_page_is_whole),
		cmocka_unit_test(t_a_paragraph_has_text_names_code_and_links),
		cmocka_unit_test(t_no_text_is_markup),
		cmocka_unit_test(t_what_is_no_text_is_shown_as_such),
		cmocka_unit_test(t_a_link_leads_to_the_web_or_to_us),
		cmocka_unit_test(t_a_form_is_sent_to_us_with_its_token),
		cmocka_unit_test(t_a_part_at_the_wrong_place_is_a_bug),
	};
	int failed = cmocka_run_group_tests_name("page", tests, NULL, NULL);

	cf_buf_free(&out);
	return failed;
}
