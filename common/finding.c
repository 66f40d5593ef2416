/* SPDX-License-Identifier: Apache-2.0 */
/* cf_findings - see finding.h. */
#include "common/finding.h"

#include <stdarg.h>
#include <string.h>

void
cf_findings_say(struct cf_findings *findings, enum cf_finding finding,
    const char *fmt, ...)
{
	static const char *const names[] = { "ok", "warning", "error" };
	const size_t len = strlen(findings->subject);
	char text[1200], *p;
	const char *said = text;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	for (p = text; *p != '\0'; p++)
		if (*p < ' ' || *p > '~')
			*p = '?';
	/* Sentences that begin with it, too, do not say it twice. */
	if (strncmp(text, findings->subject, len) == 0 &&
	    (text[len] == ':' || text[len] == ' '))
		said += len + strspn(text + len, ": ");
	fprintf(findings->out, "%s: %s: %s\n", names[finding],
	    findings->subject, said);
	findings->warnings += finding == CF_FINDING_WARNING;
	findings->errors += finding == CF_FINDING_ERROR;
}

void
cf_findings_end(struct cf_findings *findings)
{
	fprintf(findings->out, "%u error%s, %u warning%s\n",
	    findings->errors, findings->errors == 1 ? "" : "s",
	    findings->warnings, findings->warnings == 1 ? "" : "s");
}
