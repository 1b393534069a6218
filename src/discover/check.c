/* Three short dialogues (RFC 9051 §6.1, RFC 2449 §5, RFC 5321 §4.1.1.1), the same before and after STARTTLS. What was said before TLS is forgotten. */
#include "discover/check.h"

#include "net/dial.h"
#include "net/reach.h"

#include <string.h>

#define LINES_MAX     100u /* of one answer */
#define ADDRESSES_MAX 4u   /* of one host that are tried */

struct call {
    const struct check *check;
    struct dial *dial; /* owned */
    struct err_note *note;
    struct capabilities capabilities;
};

/* ---- capabilities ---- */

static void add_mechanism(struct slice name, struct capabilities *capabilities)
{
    static const struct slice passwords[] = { SLICE_CONST("PLAIN"), SLICE_CONST("LOGIN"),
        SLICE_CONST("CRAM-MD5"), SLICE_CONST("DIGEST-MD5"), SLICE_CONST("SCRAM-SHA-1"),
        SLICE_CONST("SCRAM-SHA-1-PLUS"), SLICE_CONST("SCRAM-SHA-256"),
        SLICE_CONST("SCRAM-SHA-256-PLUS"), SLICE_CONST("SCRAM-SHA-512"),
        SLICE_CONST("SCRAM-SHA-512-PLUS") };
    if (slice_eq_nocase(name, SLICE("XOAUTH2")) || slice_eq_nocase(name, SLICE("OAUTHBEARER")))
        capabilities->auth |= DISCOVER_OAUTH2;
    for (size_t i = 0; i < sizeof passwords / sizeof passwords[0]; i++)
        if (slice_eq_nocase(name, passwords[i]))
            capabilities->auth |= DISCOVER_PASSWORD;
}

static void add_mechanisms(struct slice names, struct capabilities *capabilities)
{
    struct slice name = SLICE_EMPTY;
    while (slice_cut(&names, ' ', &name))
        add_mechanism(name, capabilities);
}

void check_imap_capabilities(struct slice line, struct capabilities *capabilities)
{
    struct slice word = SLICE_EMPTY;
    while (slice_cut(&line, ' ', &word)) {
        if (slice_starts_nocase(word, SLICE("AUTH=")))
            add_mechanism(slice_from_index(word, 5), capabilities);
        else if (slice_eq_nocase(word, SLICE("STARTTLS")))
            capabilities->starttls = true;
        else if (slice_eq_nocase(word, SLICE("LOGINDISABLED")))
            capabilities->no_plain_login = true;
    }
}

void check_pop3_capability(struct slice line, struct capabilities *capabilities)
{
    if (slice_eq_nocase(slice_trim(line), SLICE("USER")))
        capabilities->auth |= DISCOVER_PASSWORD;
    else if (slice_eq_nocase(slice_trim(line), SLICE("STLS")))
        capabilities->starttls = true;
    else if (slice_starts_nocase(line, SLICE("SASL ")))
        add_mechanisms(slice_from_index(line, 5), capabilities);
}

void check_smtp_keyword(struct slice line, struct capabilities *capabilities)
{
    if (slice_eq_nocase(slice_trim(line), SLICE("STARTTLS")))
        capabilities->starttls = true;
    else if (slice_starts_nocase(line, SLICE("AUTH ")) || slice_starts_nocase(line, SLICE("AUTH=")))
        add_mechanisms(slice_from_index(line, 5), capabilities);
}

/* ---- what went wrong ---- */

static enum discover_why why_of(enum err e)
{
    switch (e) {
    case ERR_TIMEOUT:
        return DISCOVER_LATE;
    case ERR_SYNTAX:
    case ERR_LIMIT:
        return DISCOVER_NOT_PROTOCOL;
    default:
        return DISCOVER_UNREACHABLE;
    }
}

/* The peer's words, for those who want to see them. */
static enum discover_why said(struct call *call, enum discover_why why, struct slice line)
{
    (void)err_noted(
        call->note, ERR_SYNTAX, "%.*s", (int)(line.len > 120 ? 120 : line.len), line.ptr);
    return why;
}

static enum discover_why begin_tls(struct call *call)
{
    enum err e = dial_starttls(call->dial, DIAL_TLS, call->note);
    if (e == ERR_OK)
        return DISCOVER_FOUND;
    if (dial_distrusts(call->dial))
        return DISCOVER_BAD_CERTIFICATE;
    if (e == ERR_DENIED && call->check->security == DISCOVER_STARTTLS)
        return DISCOVER_INJECTED; /* words behind the go-ahead */
    return e == ERR_TIMEOUT ? DISCOVER_LATE : DISCOVER_NOT_PROTOCOL;
}

/* ---- IMAP ---- */

/* Reads to the line with the tag; DISCOVER_FOUND when it says OK. */
static enum discover_why imap_answer(struct call *call, struct slice tag)
{
    for (unsigned lines = 0; lines < LINES_MAX; lines++) {
        struct slice line = SLICE_EMPTY;
        enum err e = dial_line(call->dial, &line);
        if (e != ERR_OK)
            return why_of(e);
        if (slice_starts_nocase(line, SLICE("* CAPABILITY ")))
            check_imap_capabilities(slice_from_index(line, 13), &call->capabilities);
        else if (slice_starts(line, tag)) {
            if (slice_starts_nocase(slice_from_index(line, tag.len), SLICE("OK")))
                return DISCOVER_FOUND;
            return said(call, DISCOVER_PLAIN_ONLY, line);
        } else if (!slice_starts(line, SLICE("* ")))
            return said(call, DISCOVER_NOT_PROTOCOL, line);
    }
    return DISCOVER_NOT_PROTOCOL;
}

static enum discover_why imap_greeting(struct call *call)
{
    struct slice line = SLICE_EMPTY;
    enum err e = dial_line(call->dial, &line);
    if (e != ERR_OK)
        return why_of(e);
    if (slice_starts_nocase(line, SLICE("* PREAUTH")))
        return said(call, DISCOVER_PREAUTH, line);
    if (slice_starts_nocase(line, SLICE("* BYE"))) /* busy, or not for us today */
        return said(call, DISCOVER_UNREACHABLE, line);
    if (!slice_starts_nocase(line, SLICE("* OK")))
        return said(call, DISCOVER_NOT_PROTOCOL, line);
    return DISCOVER_FOUND;
}

static enum discover_why imap_capabilities(struct call *call)
{
    memset(&call->capabilities, 0, sizeof call->capabilities);
    enum err e = dial_send(call->dial, SLICE("b1 CAPABILITY\r\n"));
    return e == ERR_OK ? imap_answer(call, SLICE("b1 ")) : why_of(e);
}

static enum discover_why imap_start_tls(struct call *call)
{
    enum err e = dial_send(call->dial, SLICE("b0 STARTTLS\r\n"));
    enum discover_why why = e == ERR_OK ? imap_answer(call, SLICE("b0 ")) : why_of(e);
    return why == DISCOVER_FOUND ? begin_tls(call) : why;
}

/* The command LOGIN is there unless it is disabled (RFC 9051 §6.2.3). */
static void imap_goodbye(struct call *call)
{
    if (!call->capabilities.no_plain_login && !(call->capabilities.auth & DISCOVER_OAUTH2))
        call->capabilities.auth |= DISCOVER_PASSWORD;
    (void)!dial_send(call->dial, SLICE("b2 LOGOUT\r\n"));
}

/* ---- POP3 ---- */

static enum discover_why pop3_line(struct call *call, enum discover_why otherwise)
{
    struct slice line = SLICE_EMPTY;
    enum err e = dial_line(call->dial, &line);
    if (e != ERR_OK)
        return why_of(e);
    if (slice_starts_nocase(line, SLICE("+OK")))
        return DISCOVER_FOUND;
    return said(call, slice_starts(line, SLICE("-ERR")) ? otherwise : DISCOVER_NOT_PROTOCOL, line);
}

static enum discover_why pop3_greeting(struct call *call)
{
    return pop3_line(call, DISCOVER_UNREACHABLE);
}

/* A server that knows no CAPA knows USER and PASS (RFC 1939 §7). */
static enum discover_why pop3_capabilities(struct call *call)
{
    memset(&call->capabilities, 0, sizeof call->capabilities);
    enum err e = dial_send(call->dial, SLICE("CAPA\r\n"));
    enum discover_why why = e == ERR_OK ? pop3_line(call, DISCOVER_NO_LOGIN) : why_of(e);
    if (why == DISCOVER_NO_LOGIN) {
        call->capabilities.auth = DISCOVER_PASSWORD;
        return DISCOVER_FOUND;
    }
    for (unsigned lines = 0; why == DISCOVER_FOUND && lines < LINES_MAX; lines++) {
        struct slice line = SLICE_EMPTY;
        e = dial_line(call->dial, &line);
        if (e != ERR_OK)
            return why_of(e);
        if (slice_eq(line, SLICE(".")))
            return DISCOVER_FOUND;
        check_pop3_capability(line, &call->capabilities);
    }
    return why == DISCOVER_FOUND ? DISCOVER_NOT_PROTOCOL : why;
}

static enum discover_why pop3_start_tls(struct call *call)
{
    enum err e = dial_send(call->dial, SLICE("STLS\r\n"));
    enum discover_why why = e == ERR_OK ? pop3_line(call, DISCOVER_PLAIN_ONLY) : why_of(e);
    return why == DISCOVER_FOUND ? begin_tls(call) : why;
}

static void pop3_goodbye(struct call *call)
{
    (void)!dial_send(call->dial, SLICE("QUIT\r\n"));
}

/* ---- SMTP ---- */

/* A reply of any number of lines; DISCOVER_FOUND when it begins with `digit`. Keywords of EHLO are kept. */
static enum discover_why smtp_reply(struct call *call, char digit, enum discover_why otherwise)
{
    for (unsigned lines = 0; lines < LINES_MAX; lines++) {
        struct slice line = SLICE_EMPTY;
        enum err e = dial_line(call->dial, &line);
        if (e != ERR_OK)
            return why_of(e);
        uint64_t code;
        if (line.len < 3 || slice_to_u64(slice_sub(line, 0, 3), 599, &code) != ERR_OK ||
            (line.len > 3 && line.ptr[3] != ' ' && line.ptr[3] != '-'))
            return said(call, DISCOVER_NOT_PROTOCOL, line);
        if (line.ptr[0] != digit) /* 4: may pass (RFC 5321 §4.2.1) */
            return said(call, line.ptr[0] == '4' ? DISCOVER_UNREACHABLE : otherwise, line);
        if (lines > 0)
            check_smtp_keyword(slice_from_index(line, 4), &call->capabilities);
        if (line.len == 3 || line.ptr[3] == ' ')
            return DISCOVER_FOUND;
    }
    return DISCOVER_NOT_PROTOCOL;
}

static enum discover_why smtp_greeting(struct call *call)
{
    return smtp_reply(call, '2', DISCOVER_NOT_PROTOCOL);
}

/* The name of this machine is nobody's business; an address literal is allowed (RFC 5321 §4.1.4). */
static enum discover_why smtp_capabilities(struct call *call)
{
    memset(&call->capabilities, 0, sizeof call->capabilities);
    enum err e = dial_send(call->dial, SLICE("EHLO [127.0.0.1]\r\n"));
    return e == ERR_OK ? smtp_reply(call, '2', DISCOVER_NOT_PROTOCOL) : why_of(e);
}

static enum discover_why smtp_start_tls(struct call *call)
{
    enum discover_why why = smtp_capabilities(call);
    if (why != DISCOVER_FOUND)
        return why;
    if (!call->capabilities.starttls)
        return DISCOVER_PLAIN_ONLY;
    enum err e = dial_send(call->dial, SLICE("STARTTLS\r\n"));
    why = e == ERR_OK ? smtp_reply(call, '2', DISCOVER_PLAIN_ONLY) : why_of(e);
    return why == DISCOVER_FOUND ? begin_tls(call) : why;
}

static void smtp_goodbye(struct call *call)
{
    (void)!dial_send(call->dial, SLICE("QUIT\r\n"));
}

/* ---- the call ---- */

static const struct dialogue {
    enum discover_why (*greeting)(struct call *call);
    enum discover_why (*start_tls)(struct call *call);
    enum discover_why (*capabilities)(struct call *call);
    void (*goodbye)(struct call *call);
} dialogues[DISCOVER_PROTOCOLS] = {
    [DISCOVER_IMAP] = { imap_greeting, imap_start_tls, imap_capabilities, imap_goodbye },
    [DISCOVER_POP3] = { pop3_greeting, pop3_start_tls, pop3_capabilities, pop3_goodbye },
    [DISCOVER_SMTP] = { smtp_greeting, smtp_start_tls, smtp_capabilities, smtp_goodbye },
};

static enum discover_why talk(struct call *call)
{
    const struct dialogue *dialogue = &dialogues[call->check->protocol];
    enum discover_why why = DISCOVER_FOUND;
    if (call->check->security == DISCOVER_TLS)
        why = begin_tls(call);
    if (why == DISCOVER_FOUND)
        why = dialogue->greeting(call);
    if (why == DISCOVER_FOUND && call->check->security == DISCOVER_STARTTLS)
        why = dialogue->start_tls(call);
    if (why == DISCOVER_FOUND)
        why = dialogue->capabilities(call);
    if (why != DISCOVER_FOUND)
        return why;
    dialogue->goodbye(call);
    return call->capabilities.auth ? DISCOVER_SETTLED : DISCOVER_NO_LOGIN;
}

static enum discover_why why_of_dns(enum dns_status status)
{
    switch (status) {
    case DNS_FOUND:
        return DISCOVER_FOUND;
    case DNS_NO_NAME:
    case DNS_NO_RECORD:
        return DISCOVER_NOT_THERE;
    case DNS_LATE:
        return DISCOVER_LATE;
    case DNS_FORGED:
        return DISCOVER_FORGED;
    case DNS_FAILED:
        break;
    }
    return DISCOVER_UNREACHABLE;
}

enum discover_why check_server(struct dns *dns, const struct check *check, struct arena *arena,
    unsigned *out_auth, struct err_note *note)
{
    struct call call = { .check = check, .note = note };
    const char *addresses[ADDRESSES_MAX];
    struct dns_answer found = { .status = DNS_FAILED };
    size_t count = 0;
    if (dns_addresses(dns, check->host, check->until_ms, arena, &found) != ERR_OK)
        return DISCOVER_TOO_MANY;
    enum discover_why why = why_of_dns(found.status);
    if (why != DISCOVER_FOUND)
        return why;
    for (; count < found.count && count < ADDRESSES_MAX; count++) {
        addresses[count] = found.records[count].text;
        if (!check->private_ok && !reach_is_public(addresses[count]))
            return DISCOVER_PRIVATE;
    }
    enum err e = dial_open_at(check->host, addresses, count, check->port, DIAL_PLAIN,
        check->ca_file, check->until_ms, &call.dial, note);
    if (e != ERR_OK)
        return why_of(e);
    note->text[0] = '\0';
    why = talk(&call);
    dial_close(call.dial);
    if (why == DISCOVER_SETTLED)
        *out_auth = call.capabilities.auth;
    return why;
}
