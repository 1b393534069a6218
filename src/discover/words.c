/* The small words of discover.h, for programs. */
#include "discover/discover.h"

const char *discover_protocol_name(enum discover_protocol protocol)
{
    static const char *const names[DISCOVER_PROTOCOLS] = { "imap", "pop3", "smtp" };
    return names[protocol];
}

const char *discover_security_name(enum discover_security security)
{
    return security == DISCOVER_TLS ? "tls" : "starttls";
}

const char *discover_method_name(enum discover_method method)
{
    static const char *const names[DISCOVER_METHODS] = {
        [DISCOVER_TABLE] = "table",
        [DISCOVER_PACC] = "pacc",
        [DISCOVER_AUTOCONFIG] = "autoconfig",
        [DISCOVER_WELL_KNOWN] = "well-known",
        [DISCOVER_SRV] = "srv",
        [DISCOVER_ISPDB] = "ispdb",
        [DISCOVER_MX_TABLE] = "mx-table",
        [DISCOVER_MX_PACC] = "mx-pacc",
        [DISCOVER_MX_AUTOCONFIG] = "mx-autoconfig",
        [DISCOVER_MX_ISPDB] = "mx-ispdb",
        [DISCOVER_AUTODISCOVER] = "autodiscover",
        [DISCOVER_GUESS] = "guess",
        [DISCOVER_MX] = "mx",
        [DISCOVER_JMAP] = "jmap",
        [DISCOVER_CHECK] = "check",
        [DISCOVER_DOMAIN] = "domain",
    };
    return names[method];
}

const char *discover_why_name(enum discover_why why)
{
    static const char *const names[DISCOVER_WHYS] = {
        [DISCOVER_FOUND] = "found",
        [DISCOVER_SETTLED] = "settled",
        [DISCOVER_NOT_THERE] = "not-there",
        [DISCOVER_NOT_OFFERED] = "not-offered",
        [DISCOVER_NOT_NEEDED] = "not-needed",
        [DISCOVER_NO_DOMAIN] = "no-domain",
        [DISCOVER_UNREACHABLE] = "unreachable",
        [DISCOVER_LATE] = "late",
        [DISCOVER_HTTP_STATUS] = "http-status",
        [DISCOVER_WANTS_PASSWORD] = "wants-password",
        [DISCOVER_BAD_CERTIFICATE] = "bad-certificate",
        [DISCOVER_FORGED] = "forged",
        [DISCOVER_PRIVATE] = "private",
        [DISCOVER_TOO_BIG] = "too-big",
        [DISCOVER_REDIRECT_PLAIN] = "redirect-plain",
        [DISCOVER_REDIRECT_PRIVATE] = "redirect-private",
        [DISCOVER_REDIRECTS] = "redirects",
        [DISCOVER_GARBAGE] = "garbage",
        [DISCOVER_ENTITIES] = "entities",
        [DISCOVER_NO_SERVERS] = "no-servers",
        [DISCOVER_BAD_NAME] = "bad-name",
        [DISCOVER_PLAIN_ONLY] = "plain-only",
        [DISCOVER_NOT_PROTOCOL] = "not-protocol",
        [DISCOVER_PREAUTH] = "preauth",
        [DISCOVER_INJECTED] = "injected",
        [DISCOVER_NO_LOGIN] = "no-login",
        [DISCOVER_TOO_MANY] = "too-many",
    };
    return names[why];
}

const char *discover_note_name(enum discover_note_id id)
{
    static const char *const names[DISCOVER_NOTES] = {
        [DISCOVER_POP_OFF] = "pop-off",
        [DISCOVER_IMAP_OFF] = "imap-off",
        [DISCOVER_BOTH_OFF] = "both-off",
        [DISCOVER_POP_ADMIN] = "pop-admin",
        [DISCOVER_IMAP_ADMIN] = "imap-admin",
        [DISCOVER_BOTH_ADMIN] = "both-admin",
        [DISCOVER_POP_PAID] = "pop-paid",
        [DISCOVER_IMAP_PAID] = "imap-paid",
        [DISCOVER_BOTH_PAID] = "both-paid",
        [DISCOVER_NO_POP] = "no-pop",
        [DISCOVER_OAUTH_ONLY] = "oauth-only",
        [DISCOVER_APP_PASSWORD] = "app-password",
        [DISCOVER_OAUTH_OR_APP] = "oauth-or-app-password",
        [DISCOVER_MAYBE_APP] = "maybe-app-password",
        [DISCOVER_BRIDGE] = "bridge",
        [DISCOVER_NO_ACCESS] = "no-access",
        [DISCOVER_ONLY_PLAIN_KNOWN] = "only-plain-known",
        [DISCOVER_UNPUBLISHED] = "unpublished",
        [DISCOVER_NO_INCOMING] = "no-incoming",
        [DISCOVER_NO_OUTGOING] = "no-outgoing",
        [DISCOVER_SWITCH_ON] = "switch-on",
        [DISCOVER_HAS_JMAP] = "has-jmap",
        [DISCOVER_NULL_MX] = "null-mx",
    };
    return names[id];
}
