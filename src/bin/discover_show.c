/* What a search found, for people and for programs: shared by the verbs that search. */
#include "bin/discover_show.h"

#include "bin/cli.h"
#include "bin/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const protocol_words[DISCOVER_PROTOCOLS] = { "IMAP", "POP3", "SMTP" };

static const enum message_id notes_said[DISCOVER_NOTES] = {
    [DISCOVER_POP_OFF] = MSG_DISCOVER_NOTE_POP_OFF,
    [DISCOVER_IMAP_OFF] = MSG_DISCOVER_NOTE_IMAP_OFF,
    [DISCOVER_BOTH_OFF] = MSG_DISCOVER_NOTE_BOTH_OFF,
    [DISCOVER_POP_ADMIN] = MSG_DISCOVER_NOTE_POP_ADMIN,
    [DISCOVER_IMAP_ADMIN] = MSG_DISCOVER_NOTE_IMAP_ADMIN,
    [DISCOVER_BOTH_ADMIN] = MSG_DISCOVER_NOTE_BOTH_ADMIN,
    [DISCOVER_POP_PAID] = MSG_DISCOVER_NOTE_POP_PAID,
    [DISCOVER_IMAP_PAID] = MSG_DISCOVER_NOTE_IMAP_PAID,
    [DISCOVER_BOTH_PAID] = MSG_DISCOVER_NOTE_BOTH_PAID,
    [DISCOVER_NO_POP] = MSG_DISCOVER_NOTE_NO_POP,
    [DISCOVER_OAUTH_ONLY] = MSG_DISCOVER_NOTE_OAUTH_ONLY,
    [DISCOVER_APP_PASSWORD] = MSG_DISCOVER_NOTE_APP_PASSWORD,
    [DISCOVER_OAUTH_OR_APP] = MSG_DISCOVER_NOTE_OAUTH_OR_APP,
    [DISCOVER_MAYBE_APP] = MSG_DISCOVER_NOTE_MAYBE_APP,
    [DISCOVER_BRIDGE] = MSG_DISCOVER_NOTE_BRIDGE,
    [DISCOVER_NO_ACCESS] = MSG_DISCOVER_NOTE_NO_ACCESS,
    [DISCOVER_ONLY_PLAIN_KNOWN] = MSG_DISCOVER_NOTE_ONLY_PLAIN,
    [DISCOVER_UNPUBLISHED] = MSG_DISCOVER_NOTE_UNPUBLISHED,
    [DISCOVER_NO_INCOMING] = MSG_DISCOVER_NOTE_NO_INCOMING,
    [DISCOVER_NO_OUTGOING] = MSG_DISCOVER_NOTE_NO_OUTGOING,
    [DISCOVER_SWITCH_ON] = MSG_DISCOVER_NOTE_SWITCH_ON,
    [DISCOVER_HAS_JMAP] = MSG_DISCOVER_NOTE_JMAP,
    [DISCOVER_NULL_MX] = MSG_DISCOVER_NOTE_NULL_MX,
};

static const enum message_id method_texts[DISCOVER_METHODS] = {
    [DISCOVER_TABLE] = MSG_DISCOVER_BY_TABLE,
    [DISCOVER_PACC] = MSG_DISCOVER_BY_PACC,
    [DISCOVER_AUTOCONFIG] = MSG_DISCOVER_BY_AUTOCONFIG,
    [DISCOVER_WELL_KNOWN] = MSG_DISCOVER_BY_WELL_KNOWN,
    [DISCOVER_SRV] = MSG_DISCOVER_BY_SRV,
    [DISCOVER_ISPDB] = MSG_DISCOVER_BY_ISPDB,
    [DISCOVER_MX_TABLE] = MSG_DISCOVER_BY_MX_TABLE,
    [DISCOVER_MX_PACC] = MSG_DISCOVER_BY_MX_PACC,
    [DISCOVER_MX_AUTOCONFIG] = MSG_DISCOVER_BY_MX_AUTOCONFIG,
    [DISCOVER_MX_ISPDB] = MSG_DISCOVER_BY_MX_ISPDB,
    [DISCOVER_AUTODISCOVER] = MSG_DISCOVER_BY_AUTODISCOVER,
    [DISCOVER_GUESS] = MSG_DISCOVER_BY_GUESS,
    [DISCOVER_MX] = MSG_DISCOVER_BY_MX,
    [DISCOVER_JMAP] = MSG_DISCOVER_BY_JMAP,
    [DISCOVER_CHECK] = MSG_DISCOVER_BY_CHECK,
    [DISCOVER_DOMAIN] = MSG_DISCOVER_BY_DOMAIN,
};

static const enum message_id why_texts[DISCOVER_WHYS] = {
    [DISCOVER_FOUND] = MSG_DISCOVER_WHY_FOUND,
    [DISCOVER_SETTLED] = MSG_DISCOVER_WHY_SETTLED,
    [DISCOVER_NOT_THERE] = MSG_DISCOVER_WHY_NOT_THERE,
    [DISCOVER_NOT_OFFERED] = MSG_DISCOVER_WHY_NOT_OFFERED,
    [DISCOVER_NOT_NEEDED] = MSG_DISCOVER_WHY_NOT_NEEDED,
    [DISCOVER_NO_DOMAIN] = MSG_DISCOVER_WHY_NO_DOMAIN,
    [DISCOVER_UNREACHABLE] = MSG_DISCOVER_WHY_UNREACHABLE,
    [DISCOVER_LATE] = MSG_DISCOVER_WHY_LATE,
    [DISCOVER_HTTP_STATUS] = MSG_DISCOVER_WHY_HTTP_STATUS,
    [DISCOVER_WANTS_PASSWORD] = MSG_DISCOVER_WHY_WANTS_PASSWORD,
    [DISCOVER_BAD_CERTIFICATE] = MSG_DISCOVER_WHY_BAD_CERTIFICATE,
    [DISCOVER_FORGED] = MSG_DISCOVER_WHY_FORGED,
    [DISCOVER_PRIVATE] = MSG_DISCOVER_WHY_PRIVATE,
    [DISCOVER_TOO_BIG] = MSG_DISCOVER_WHY_TOO_BIG,
    [DISCOVER_REDIRECT_PLAIN] = MSG_DISCOVER_WHY_REDIRECT_PLAIN,
    [DISCOVER_REDIRECT_PRIVATE] = MSG_DISCOVER_WHY_REDIRECT_PRIVATE,
    [DISCOVER_REDIRECTS] = MSG_DISCOVER_WHY_REDIRECTS,
    [DISCOVER_GARBAGE] = MSG_DISCOVER_WHY_GARBAGE,
    [DISCOVER_ENTITIES] = MSG_DISCOVER_WHY_ENTITIES,
    [DISCOVER_NO_SERVERS] = MSG_DISCOVER_WHY_NO_SERVERS,
    [DISCOVER_BAD_NAME] = MSG_DISCOVER_WHY_BAD_NAME,
    [DISCOVER_PLAIN_ONLY] = MSG_DISCOVER_WHY_PLAIN_ONLY,
    [DISCOVER_NOT_PROTOCOL] = MSG_DISCOVER_WHY_NOT_PROTOCOL,
    [DISCOVER_PREAUTH] = MSG_DISCOVER_WHY_PREAUTH,
    [DISCOVER_INJECTED] = MSG_DISCOVER_WHY_INJECTED,
    [DISCOVER_NO_LOGIN] = MSG_DISCOVER_WHY_NO_LOGIN,
    [DISCOVER_TOO_MANY] = MSG_DISCOVER_WHY_TOO_MANY,
};

/* Text of a stranger as a C string that a terminal cannot misread. */
static const char *safe(struct arena *arena, struct slice text)
{
    struct buf out;
    buf_init(&out, 0);
    cli_add_safe(&out, text);
    const char *copy = slice_cstr(arena, buf_slice(&out));
    buf_done(&out);
    return copy ? copy : "";
}

/* ---- for people ---- */

static size_t columns(const char *text)
{
    size_t count = 0;
    for (; *text; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

/* "    IMAP  imap.example.org  993  TLS": to be copied, so the same in every language. */
static void print_servers(const struct discover_result *result, struct arena *arena)
{
    size_t width = 0;
    for (int i = 0; i < DISCOVER_PROTOCOLS; i++) {
        const struct discover_server *server =
            discover_best(result, (enum discover_protocol)i, true);
        size_t len = server ? columns(safe(arena, server->shown)) : 0;
        width = len > width ? len : width;
    }
    for (int i = 0; i < DISCOVER_PROTOCOLS; i++) {
        const struct discover_server *server =
            discover_best(result, (enum discover_protocol)i, true);
        if (!server)
            continue;
        const char *host = safe(arena, server->shown);
        printf("    %s  %s%*s  %5d  %s\n", protocol_words[i], host, (int)(width - columns(host)),
            "", server->port, server->security == DISCOVER_TLS ? "TLS" : "STARTTLS");
    }
}

static void print_users(const struct discover_result *result, struct arena *arena)
{
    const struct discover_server *best[DISCOVER_PROTOCOLS], *first = NULL;
    bool same = true;
    for (int i = 0; i < DISCOVER_PROTOCOLS; i++) {
        best[i] = discover_best(result, (enum discover_protocol)i, true);
        if (best[i] && first)
            same = same && slice_eq(first->user, best[i]->user);
        else if (best[i])
            first = best[i];
    }
    if (first && same)
        cli_say(MSG_DISCOVER_USER, safe(arena, first->user));
    for (int i = 0; !same && i < DISCOVER_PROTOCOLS; i++)
        if (best[i])
            cli_say(MSG_DISCOVER_USER_OF, protocol_words[i], safe(arena, best[i]->user));
}

static void print_cautions(
    const struct discover_result *result, const char *domain, struct arena *arena)
{
    struct slice told = SLICE_EMPTY;
    for (int i = 0; i < DISCOVER_PROTOCOLS; i++) {
        enum discover_protocol protocol = (enum discover_protocol)i;
        const struct discover_server *server = discover_best(result, protocol, true);
        const struct discover_server *silent = discover_best(result, protocol, false);
        if (server && server->foreign && !slice_eq(server->host, told)) {
            cli_say(MSG_DISCOVER_FOREIGN, safe(arena, server->shown), domain);
            told = server->host;
        }
        if (!server && silent)
            cli_say(MSG_DISCOVER_UNSETTLED, protocol_words[i], safe(arena, silent->shown));
        else if (!server)
            cli_say(MSG_DISCOVER_MISSING, protocol_words[i]);
    }
}

static void print_notes(const struct discover_result *result, struct arena *arena)
{
    if (result->note_count)
        cli_say(MSG_DISCOVER_NOTES_TITLE);
    for (size_t i = 0; i < result->note_count; i++) {
        printf("  - %s\n", tr(notes_said[result->notes[i].id]));
        if (result->notes[i].url.len)
            printf("    %s\n", safe(arena, result->notes[i].url));
    }
}

static void print_trail(const struct discover_result *result, struct arena *arena)
{
    cli_say(MSG_DISCOVER_TRAIL_TITLE);
    for (size_t i = 0; i < result->step_count; i++) {
        const struct discover_step *step = &result->trail[i];
        printf("  %d.%03d  %s: %s", step->at_ms / 1000, step->at_ms % 1000,
            tr(method_texts[step->method]), tr(why_texts[step->why]));
        printf("\n         %s", safe(arena, step->subject));
        if (step->detail.len)
            printf(" (%s)", safe(arena, step->detail));
        printf("\n");
    }
}

void discover_show_failure(
    const struct discover_result *result, struct arena *arena, bool explained)
{
    const char *address = safe(arena, result->address);
    const char *domain = address + strlen(address);
    while (domain > address && domain[-1] != '@')
        domain--;
    if (!result->domain_exists)
        cli_error(MSG_DISCOVER_NO_DOMAIN_TEXT, domain);
    else if (result->network_down)
        cli_error(MSG_DISCOVER_NETWORK_DOWN);
    else if (result->server_count)
        cli_error(MSG_DISCOVER_TRY_LATER, domain);
    else
        cli_error(MSG_DISCOVER_MISSING_ALL, address);
    if (!explained && result->domain_exists && !result->network_down) {
        char *word = cli_word(address);
        cli_error(MSG_DISCOVER_SEE_EXPLAIN, word);
        free(word);
    }
}

/* The note says it all: there is nothing to ask the provider for. */
bool discover_is_closed(const struct discover_result *result)
{
    for (size_t i = 0; i < result->note_count; i++)
        if (result->notes[i].id == DISCOVER_NO_ACCESS || result->notes[i].id == DISCOVER_BRIDGE)
            return true;
    return false;
}

bool discover_any_settled(const struct discover_result *result)
{
    for (int i = 0; i < DISCOVER_PROTOCOLS; i++)
        if (discover_best(result, (enum discover_protocol)i, true))
            return true;
    return false;
}

void discover_show(const struct discover_result *result, bool explain, struct arena *arena)
{
    if (discover_any_settled(result)) {
        const char *address = safe(arena, result->address);
        const char *domain = strrchr(address, '@') + 1;
        cli_say(MSG_DISCOVER_TITLE, address);
        print_servers(result, arena);
        print_users(result, arena);
        if (result->provider_name.len)
            cli_say(MSG_DISCOVER_PROVIDER, safe(arena, result->provider_name));
        print_cautions(result, domain, arena);
    } else if (result->provider_name.len) {
        cli_say(MSG_DISCOVER_PROVIDER, safe(arena, result->provider_name));
    }
    print_notes(result, arena);
    if (explain)
        print_trail(result, arena);
}

/* ---- for programs ---- */

static void json_text(const char *name, struct slice text)
{
    printf(",\"%s\":", name);
    json_print(text);
}

static void json_server(const struct discover_server *server)
{
    printf("{\"protocol\":\"%s\"", discover_protocol_name(server->protocol));
    json_text("host", server->host);
    json_text("host_shown", server->shown);
    printf(
        ",\"port\":%d,\"security\":\"%s\"", server->port, discover_security_name(server->security));
    json_text("user", server->user);
    printf(",\"auth\":[%s%s%s],\"method\":\"%s\",\"settled\":%s,\"foreign\":%s,\"dnssec\":%s}",
        server->auth & DISCOVER_PASSWORD ? "\"password\"" : "",
        server->auth == (DISCOVER_PASSWORD | DISCOVER_OAUTH2) ? "," : "",
        server->auth & DISCOVER_OAUTH2 ? "\"oauth2\"" : "", discover_method_name(server->method),
        server->settled ? "true" : "false", server->foreign ? "true" : "false",
        server->dnssec ? "true" : "false");
}

static void json_trail(const struct discover_result *result)
{
    printf(",\"trail\":[");
    for (size_t i = 0; i < result->step_count; i++) {
        const struct discover_step *step = &result->trail[i];
        printf("%s{\"at_ms\":%d,\"method\":\"%s\",\"why\":\"%s\"", i ? "," : "", step->at_ms,
            discover_method_name(step->method), discover_why_name(step->why));
        json_text("subject", step->subject);
        json_text("detail", step->detail);
        printf("}");
    }
    printf("]");
}

static void json_oauth(const struct discover_oauth *oauth)
{
    if (oauth->issuer.len == 0 && oauth->token_url.len == 0) {
        printf(",\"oauth\":null");
        return;
    }
    printf(",\"oauth\":{\"issuer\":");
    json_print(oauth->issuer);
    json_text("authorization_url", oauth->authorization_url);
    json_text("token_url", oauth->token_url);
    json_text("device_url", oauth->device_url);
    json_text("scope", oauth->scope);
    printf("}");
}

void discover_show_json(const struct discover_result *result, bool explain)
{
    printf("{\"address\":");
    json_print(result->address);
    json_text("domain", result->domain);
    printf(",\"domain_exists\":%s,\"network_down\":%s,\"provider\":{\"id\":",
        result->domain_exists ? "true" : "false", result->network_down ? "true" : "false");
    json_print(result->provider_id);
    json_text("name", result->provider_name);
    printf("},\"files_sent_copy\":%s,\"servers\":[", result->files_sent_copy ? "true" : "false");
    for (size_t i = 0; i < result->server_count; i++) {
        printf("%s", i ? "," : "");
        json_server(&result->servers[i]);
    }
    printf("],\"notes\":[");
    for (size_t i = 0; i < result->note_count; i++) {
        printf("%s{\"id\":\"%s\"", i ? "," : "", discover_note_name(result->notes[i].id));
        json_text("url", result->notes[i].url);
        printf("}");
    }
    printf("]");
    json_oauth(&result->oauth);
    if (explain)
        json_trail(result);
    printf("}\n");
}

int discover_exit_code(const struct discover_result *result)
{
    if (discover_any_settled(result))
        return EX_OK;
    if (!result->domain_exists)
        return EX_NOHOST;
    return result->network_down || result->server_count ? EX_TEMPFAIL : EX_UNAVAILABLE;
}
